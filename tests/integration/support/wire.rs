//! An HTTP/1 client that shows what was really on the wire, over TCP, a unix socket or TLS.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use openssl::ssl::{SslRef, SslStream};
use socket2::{Domain, SockAddr, Socket, Type};

use super::process::PATIENCE;

/// What a client is connected by.
enum Transport {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<SslStream<TcpStream>>),
}

pub struct Client {
    transport: Transport,
    buffered: Vec<u8>,
}

/// One response as it came.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// Every value of a header.
    pub fn values(&self, name: &str) -> Vec<&str> {
        let matching = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        matching.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that may be there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() <= 1, "{name} more than once: {values:?}");
        values.first().copied()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn parse_head(head: &[u8]) -> io::Result<Self> {
        let text = String::from_utf8_lossy(head);
        let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("no response: {text:?}"));
        let mut lines = text.lines();
        let (_, rest) = lines.next().and_then(|l| l.split_once(' ')).ok_or_else(bad)?;
        let status = rest.get(..3).and_then(|code| code.parse().ok()).ok_or_else(bad)?;
        let mut headers = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(bad)?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Ok(Self { status, headers, body: Vec::new() })
    }
}

/// The port at the end of an address.
#[track_caller]
pub fn port(address: &str) -> u16 {
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("no port in {address}"))
}

/// The value of a `Authorization: Basic` header.
pub fn basic(user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> String {
    let pair = [user.as_ref(), b":", password.as_ref()].concat();
    format!("Basic {}", openssl::base64::encode_block(&pair))
}

/// A header line with credentials, ended by CRLF.
pub fn authorization((user, password): (&str, &str)) -> String {
    format!("Authorization: {}\r\n", basic(user, password))
}

/// The text of a GET request with more header lines, each ended by CRLF.
pub fn get(target: &str, more: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

impl Client {
    #[track_caller]
    pub fn plain(port: u16) -> Self {
        let stream = tcp(port).unwrap_or_else(|error| panic!("connecting to {port}: {error}"));
        Self { transport: Transport::Tcp(stream), buffered: Vec::new() }
    }

    /// From one of the many addresses of the loopback network.
    #[track_caller]
    pub fn plain_from(source: [u8; 4], port: u16) -> Self {
        let stream = tcp_from(source, port).expect("a loopback address");
        Self { transport: Transport::Tcp(stream), buffered: Vec::new() }
    }

    pub fn unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { transport: Transport::Unix(stream), buffered: Vec::new() })
    }

    pub fn over_tls(stream: SslStream<TcpStream>) -> Self {
        Self { transport: Transport::Tls(Box::new(stream)), buffered: Vec::new() }
    }

    /// What was negotiated, on a connection with TLS.
    pub fn ssl(&self) -> &SslRef {
        match &self.transport {
            Transport::Tls(stream) => stream.ssl(),
            _ => panic!("no TLS here"),
        }
    }

    /// Write, and do not mind when the other side has gone: what it said is still to be read.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.try_send(bytes.as_ref());
    }

    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.transport {
            Transport::Tcp(stream) => stream.write_all(bytes),
            Transport::Unix(stream) => stream.write_all(bytes),
            Transport::Tls(stream) => stream.write_all(bytes),
        }
    }

    /// Say that nothing more comes, and go on reading.
    pub fn finish_sending(&mut self) {
        // The other side may have gone already, and the answer to close_notify may not be there.
        match &mut self.transport {
            Transport::Tcp(stream) => drop(stream.shutdown(Shutdown::Write)),
            Transport::Unix(stream) => drop(stream.shutdown(Shutdown::Write)),
            Transport::Tls(stream) => drop(stream.shutdown()),
        }
    }

    /// Ask and read the answer.
    #[track_caller]
    pub fn request(&mut self, request: impl AsRef<[u8]>) -> Response {
        self.send(&request);
        self.response()
    }

    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.request(get(target, ""))
    }

    #[track_caller]
    pub fn get_as(&mut self, credentials: (&str, &str), target: &str) -> Response {
        self.request(get(target, &authorization(credentials)))
    }

    /// The same where the connection may end instead.
    pub fn try_get_as(&mut self, credentials: (&str, &str), target: &str) -> io::Result<Response> {
        self.try_send(get(target, &authorization(credentials)).as_bytes())?;
        self.try_response()
    }

    /// The next response, whole.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().unwrap_or_else(|error| panic!("no response: {error}"))
    }

    pub fn try_response(&mut self) -> io::Result<Response> {
        let mut response = self.try_head()?;
        response.body = self.body(&response)?;
        Ok(response)
    }

    /// The answer to a HEAD request, which has no body whatever its header says.
    #[track_caller]
    pub fn head(&mut self) -> Response {
        self.try_head().unwrap_or_else(|error| panic!("no response head: {error}"))
    }

    pub fn try_head(&mut self) -> io::Result<Response> {
        let end = loop {
            match find(&self.buffered, b"\r\n\r\n") {
                Some(end) => break end,
                None => self.fill_some()?,
            }
        };
        let rest = self.buffered.split_off(end + 4);
        let head = std::mem::replace(&mut self.buffered, rest);
        Response::parse_head(&head)
    }

    /// The head of the next response, or `None` when the other side closes instead; a connection
    /// that hangs fails the test.
    #[track_caller]
    pub fn head_or_close(&mut self) -> Option<Response> {
        match self.try_head() {
            Ok(response) => Some(response),
            Err(error) if is_timeout(&error) => panic!("neither answered nor closed"),
            Err(_) => None,
        }
    }

    fn body(&mut self, response: &Response) -> io::Result<Vec<u8>> {
        if response.status < 200 || matches!(response.status, 204 | 304) {
            return Ok(Vec::new());
        }
        if response.header("transfer-encoding").is_some_and(|value| value == "chunked") {
            let mut body = Vec::new();
            loop {
                let chunk = self.chunk()?;
                if chunk.is_empty() {
                    return Ok(body);
                }
                body.extend(chunk);
            }
        }
        match response.header("content-length") {
            Some(length) => self.take(length.parse().expect("a Content-Length that is a number")),
            None => self.try_rest(),
        }
    }

    /// The data of one chunk; empty at the end of the body.
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line()?;
        let bad = |_| io::Error::new(io::ErrorKind::InvalidData, format!("chunk size {line:?}"));
        let size = usize::from_str_radix(line.split(';').next().unwrap_or_default(), 16);
        let data = self.take(size.map_err(bad)?)?;
        // After the data or, without trailers, after the last chunk.
        let end = self.line()?;
        assert_eq!(end, "", "no line end after a chunk");
        Ok(data)
    }

    fn line(&mut self) -> io::Result<String> {
        let end = loop {
            match find(&self.buffered, b"\r\n") {
                Some(end) => break end,
                None => self.fill_some()?,
            }
        };
        let line = self.take(end + 2)?;
        Ok(String::from_utf8_lossy(&line[..end]).into_owned())
    }

    /// This many bytes.
    pub fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffered.len() < count {
            self.fill_some()?;
        }
        let rest = self.buffered.split_off(count);
        Ok(std::mem::replace(&mut self.buffered, rest))
    }

    /// Everything up to the end of the stream; a reset ends it, too.
    pub fn rest(&mut self) -> Vec<u8> {
        self.try_rest().unwrap_or_default()
    }

    pub fn try_rest(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? > 0 {}
        Ok(std::mem::take(&mut self.buffered))
    }

    /// The socket itself, beside and without TLS.
    pub fn socket(&mut self) -> TcpStream {
        let stream = match &self.transport {
            Transport::Tcp(stream) => stream,
            Transport::Tls(stream) => stream.get_ref(),
            Transport::Unix(_) => panic!("a unix socket"),
        };
        stream.try_clone().expect("a descriptor")
    }

    /// The status of a GET, if the other side does not close instead.
    pub fn try_head_of(&mut self, target: &str) -> Option<u16> {
        self.try_send(get(target, "").as_bytes()).ok()?;
        self.try_head().ok().map(|response| response.status)
    }

    /// Whether an answer has begun to come.
    pub fn has_answer(&mut self) -> bool {
        self.answers_within(Duration::from_millis(1))
    }

    /// The same, looking for at most `limit`.
    pub fn answers_within(&mut self, limit: Duration) -> bool {
        self.set_read_timeout(limit);
        let answered = !self.buffered.is_empty() || self.fill().is_ok_and(|n| n > 0);
        self.set_read_timeout(PATIENCE);
        answered
    }

    /// Wait until the other side closes; panics when it does not in [`PATIENCE`].
    #[track_caller]
    pub fn wait_close(&mut self) {
        assert!(self.closes_within(PATIENCE), "still open after {PATIENCE:?}");
    }

    /// Whether the other side has closed, looking for at most `limit`.
    pub fn closes_within(&mut self, limit: Duration) -> bool {
        self.set_read_timeout(limit);
        let closed = loop {
            match self.fill() {
                Ok(0) => break true,
                Ok(_) => {}
                Err(error) => break !is_timeout(&error),
            }
        };
        self.set_read_timeout(PATIENCE);
        closed
    }

    /// How long a read may take, in place of [`PATIENCE`].
    pub fn set_read_timeout(&self, limit: Duration) {
        let limit = Some(limit);
        match &self.transport {
            Transport::Tcp(stream) => stream.set_read_timeout(limit),
            Transport::Unix(stream) => stream.set_read_timeout(limit),
            Transport::Tls(stream) => stream.get_ref().set_read_timeout(limit),
        }
        .expect("a timeout that is not zero");
    }

    /// How long a write may take, in place of [`PATIENCE`].
    pub fn set_write_timeout(&self, limit: Duration) {
        let limit = Some(limit);
        match &self.transport {
            Transport::Tcp(stream) => stream.set_write_timeout(limit),
            Transport::Unix(stream) => stream.set_write_timeout(limit),
            Transport::Tls(stream) => stream.get_ref().set_write_timeout(limit),
        }
        .expect("a timeout that is not zero");
    }

    fn fill_some(&mut self) -> io::Result<()> {
        match self.fill()? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("closed after {:?}", String::from_utf8_lossy(&self.buffered)),
            )),
            _ => Ok(()),
        }
    }

    /// Read what is there; 0 at the end.
    fn fill(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 64 * 1024];
        let n = loop {
            let read = match &mut self.transport {
                Transport::Tcp(stream) => stream.read(&mut chunk),
                Transport::Unix(stream) => stream.read(&mut chunk),
                Transport::Tls(stream) => stream.read(&mut chunk),
            };
            match read {
                // A socket with a timeout is not restarted by the kernel (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.buffered.extend_from_slice(&chunk[..n]);
        Ok(n)
    }
}

pub fn tcp(port: u16) -> io::Result<TcpStream> {
    configured(TcpStream::connect(("127.0.0.1", port))?)
}

fn tcp_from(source: [u8; 4], port: u16) -> io::Result<TcpStream> {
    let address = |ip: [u8; 4], port| SockAddr::from(SocketAddr::from((ip, port)));
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&address(source, 0))?;
    socket.connect(&address([127, 0, 0, 1], port))?;
    configured(socket.into())
}

fn configured(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

pub fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
