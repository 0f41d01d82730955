//! A stand-in for the exporter: records every request as it came and answers by script.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// One request as the exporter got it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub version: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// All of it, byte for byte.
    pub raw: Vec<u8>,
}

impl Request {
    pub fn values(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }

    pub fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }
}

/// What becomes of the connection after an answer.
pub enum Next {
    KeepAlive,
    Close,
}

type Script = dyn Fn(&Request, &mut dyn Write) -> io::Result<Next> + Send + Sync;

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    fragments: Mutex<Vec<Vec<u8>>>,
    /// Those that have not ended.
    sockets: Mutex<Vec<Option<TcpStream>>>,
    ended: AtomicUsize,
    stop: AtomicBool,
}

pub struct Exporter {
    url: String,
    shared: Arc<Shared>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Display for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A 200 with this body and more header lines, each ended by CRLF.
pub fn ok(more: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{more}\r\n", body.len());
    [head.as_bytes(), body].concat()
}

impl Exporter {
    pub fn scripted(
        script: impl Fn(&Request, &mut dyn Write) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::on(listener, script)
    }

    pub fn on(
        listener: TcpListener,
        script: impl Fn(&Request, &mut dyn Write) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a bound socket");
        let accept = move || {
            let (socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            Ok(socket)
        };
        // Closed at once, this connection only makes the thread look at `stop`.
        let wake = move || drop(TcpStream::connect(address));
        Self::start(format!("http://{address}"), accept, wake, script)
    }

    pub fn on_unix(
        path: &Path,
        script: impl Fn(&Request, &mut dyn Write) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        // std's type for TCP does with any stream socket.
        let accept = move || Ok(TcpStream::from(OwnedFd::from(listener.accept()?.0)));
        let path = path.to_owned();
        let url = format!("unix:{}", path.display());
        let wake = move || drop(std::os::unix::net::UnixStream::connect(&path));
        Self::start(url, accept, wake, script)
    }

    /// The same answer to everything.
    pub fn answering(response: impl Into<Vec<u8>>) -> Self {
        Self::scripted(always(response))
    }

    /// A page of metrics.
    pub fn new() -> Self {
        Self::answering(ok("Content-Type: text/plain; version=0.0.4\r\n", PAGE))
    }

    /// Begins every answer with `first`, and goes on with `rest` at a word from the test, or when
    /// the test has failed and gone.
    pub fn held(first: impl Into<Vec<u8>>, rest: impl Into<Vec<u8>>) -> (Self, Sender<()>) {
        let (first, rest) = (first.into(), rest.into());
        let (release, released) = channel();
        let released = Mutex::new(released);
        let exporter = Self::scripted(move |_, out| {
            out.write_all(&first)?;
            let _ = lock(&released).recv();
            out.write_all(&rest)?;
            Ok(Next::KeepAlive)
        });
        (exporter, release)
    }

    fn start(
        url: String,
        accept: impl Fn() -> io::Result<TcpStream> + Send + 'static,
        wake: impl Fn() + Send + Sync + 'static,
        script: impl Fn(&Request, &mut dyn Write) -> io::Result<Next> + Send + Sync + 'static,
    ) -> Self {
        let shared = Arc::new(Shared::default());
        let script: Arc<Script> = Arc::new(script);
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            loop {
                let Ok(socket) = accept() else { return };
                if accepting.stop.load(Ordering::SeqCst) {
                    return;
                }
                let number = {
                    let mut sockets = lock(&accepting.sockets);
                    sockets.push(Some(socket.try_clone().expect("a descriptor")));
                    sockets.len() - 1
                };
                let (shared, script) = (Arc::clone(&accepting), Arc::clone(&script));
                thread::spawn(move || {
                    // An error is the end of the connection, whoever caused it.
                    let _ = serve(&socket, &shared, &*script);
                    lock(&shared.sockets)[number] = None;
                    shared.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, shared, wake: Box::new(wake) }
    }

    /// Host and port, as a target of Prometheus.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// The only request there was.
    #[track_caller]
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "requests: {requests:#?}");
        requests[0].clone()
    }

    pub fn connections(&self) -> usize {
        lock(&self.shared.sockets).len()
    }

    /// Whether every connection there was has ended.
    pub fn is_idle(&self) -> bool {
        self.shared.ended.load(Ordering::SeqCst) == self.connections()
    }

    /// What came, on connections that have ended, of requests that were never whole.
    pub fn fragments(&self) -> Vec<Vec<u8>> {
        lock(&self.shared.fragments).clone()
    }

    /// Close every connection, as an exporter does that is restarted.
    pub fn hang_up(&self) {
        for socket in lock(&self.shared.sockets).iter().flatten() {
            // Closed already is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// What [`Exporter::new`] answers.
pub const PAGE: &str = "# HELP up Whether it is.\n# TYPE up gauge\nup 1\n";

/// The script that gives the same answer to everything.
pub fn always(
    response: impl Into<Vec<u8>>,
) -> impl Fn(&Request, &mut dyn Write) -> io::Result<Next> + Send + Sync + 'static {
    let response = response.into();
    move |_, out| {
        out.write_all(&response)?;
        Ok(Next::KeepAlive)
    }
}

impl Drop for Exporter {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        (self.wake)();
        self.hang_up();
    }
}

/// Keeps what is read through it.
struct Recorder<'a> {
    inner: BufReader<&'a TcpStream>,
    seen: Vec<u8>,
}

impl Read for Recorder<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buf)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Recorder<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.seen.extend_from_slice(&self.inner.buffer()[..amount]);
        self.inner.consume(amount);
    }
}

fn serve(mut socket: &TcpStream, shared: &Shared, script: &Script) -> io::Result<()> {
    let mut reader = Recorder { inner: BufReader::new(socket), seen: Vec::new() };
    loop {
        let read = read_request(&mut reader, socket);
        let raw = std::mem::take(&mut reader.seen);
        let Ok(Some(request)) = read else {
            if !raw.is_empty() {
                lock(&shared.fragments).push(raw);
            }
            break;
        };
        let request = Request { raw, ..request };
        lock(&shared.requests).push(request.clone());
        match script(&request, &mut socket)? {
            Next::KeepAlive => {}
            Next::Close => break,
        }
    }
    // The copy kept for `hang_up` would keep it open.
    socket.shutdown(Shutdown::Both)
}

fn read_request(reader: &mut impl BufRead, mut out: &TcpStream) -> io::Result<Option<Request>> {
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut request =
        Request { method, target, version, headers, body: Vec::new(), raw: Vec::new() };
    if request.has("expect") {
        out.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    request.body = read_body(&request, reader)?;
    Ok(Some(request))
}

fn line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line)?;
    Ok(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned())
}

fn read_body(request: &Request, reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if request.has("transfer-encoding") {
        loop {
            let size = usize::from_str_radix(&line(reader)?, 16).map_err(io::Error::other)?;
            let before = body.len();
            body.resize(before + size, 0);
            reader.read_exact(&mut body[before..])?;
            line(reader)?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    if let Some(length) = request.values("content-length").first() {
        let length: u64 = length.parse().map_err(io::Error::other)?;
        if reader.take(length).read_to_end(&mut body)? as u64 != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(body)
}
