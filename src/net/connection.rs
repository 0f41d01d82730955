//! One connection from its first request to its last, over any pingora HTTP application.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use openssl::ssl::{NameType, SslRef};
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::{ALPN, Ssl};
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::Instant;

use super::admission::Place;
use super::deadline::Deadline;
use super::gate::{Gate, HeadError};
use super::transport::Transport;
use crate::config::{ClientAuth, ClientCertificate, Limits};
use crate::tls::ClientNames;

/// pingora needs some keep-alive time to keep a connection; the gate's deadline is what counts.
const ENGINE_KEEPALIVE_SECS: u64 = 3600;

/// pingora runs shorter timers on a thread of its own that wakes 100 times a second for ever.
const SHORTEST_ENGINE_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a client has to see GOAWAY, and to send what it had begun, before its idle connection
/// is closed.
const GOAWAY_LINGER: Duration = Duration::from_millis(250);

/// Nothing was done, and the client may ask again (RFC 9113 section 8.7).
const REFUSED_STREAM: u32 = 0x7;

/// What a client has shown in its handshake, by the configuration at that time.
#[derive(Debug)]
pub struct Shown {
    certificate: ClientCertificate,
    names: Option<ClientNames>,
    /// What it called the guard (SNI, RFC 6066 section 3).
    server_name: Option<Box<str>>,
}

impl Shown {
    pub fn of(ssl: &SslRef, client_auth: ClientAuth) -> Self {
        let server_name = ssl.servername(NameType::HOST_NAME).map(Into::into);
        let Some(leaf) = ssl.peer_certificate() else {
            return Self { certificate: ClientCertificate::Optional, names: None, server_name };
        };
        let names = client_auth.verifies().then(|| ClientNames::of(&leaf));
        Self { certificate: client_auth.given(), names, server_name }
    }
}

/// So many times that without a byte taken, three seconds, and the client is gone.
const MOST_STUCK: u32 = 12;

/// Who is at the other end; the same for every request of a connection.
#[derive(Debug)]
pub struct Peer {
    /// By which it has come, as `--web.listen-address` has it.
    pub listener: Arc<str>,
    /// `None` on a unix socket.
    pub address: Option<SocketAddr>,
    /// `None`: plaintext.
    pub tls: Option<Arc<Shown>>,
    /// For the head of an HTTP/1 request.
    head: Arc<Deadline>,
    /// For the body of a request; each HTTP/2 stream has a peer, and so a deadline, of its own.
    body: Deadline,
}

impl Peer {
    pub fn new(
        listener: Arc<str>,
        address: Option<SocketAddr>,
        tls: Option<Shown>,
        head: Arc<Deadline>,
    ) -> Self {
        Self { listener, address, tls: tls.map(Arc::new), head, body: Deadline::new() }
    }

    pub fn certificate(&self) -> ClientCertificate {
        self.tls.as_ref().map_or(ClientCertificate::Optional, |shown| shown.certificate)
    }

    /// Of a certificate that was verified.
    pub fn names(&self) -> Option<&ClientNames> {
        self.tls.as_ref()?.names.as_ref()
    }

    /// What the client called the guard when it connected.
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }

    /// To be called once the whole body of a request has come.
    pub fn body_ended(&self) {
        self.body.disarm();
    }

    fn for_stream(&self) -> Self {
        Self {
            listener: Arc::clone(&self.listener),
            address: self.address,
            tls: self.tls.clone(),
            head: Arc::clone(&self.head),
            body: Deadline::new(),
        }
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

/// A client that has just connected is about to ask, and would take a closed connection for a
/// failure: when the guard stops, it has this long from its accept to begin a handshake, and from the
/// end of that to begin a request. (After a restart its successor
/// may be listening on the same socket; the connection is still ours.)
const FRESH_FOR: Duration = Duration::from_millis(300);

/// Until the guard stops and a connection that has got on at `since` is fresh no more.
pub async fn stopped(shutdown: &mut ShutdownWatch, since: Instant) {
    // A sender that is gone means that the guard stops, too.
    let _ = shutdown.wait_for(|stop| *stop).await;
    tokio::time::sleep_until(since + FRESH_FOR).await;
}

tokio::task_local! {
    static PEER: Arc<Peer>;
}

/// To be called by an application once the engine has read the head of a request: the deadline
/// for it is off. Who asks.
pub fn request_begins() -> Arc<Peer> {
    PEER.with(|peer| {
        peer.head.disarm();
        Arc::clone(peer)
    })
}

/// What a connection takes of the room there is.
pub struct Admitted {
    pub place: Place,
    /// Called when its source has too many streams for one more.
    pub stream_refused: Box<dyn Fn() + Send + Sync>,
}

/// Serve requests until the client leaves, a limit is reached or the guard stops.
pub async fn serve<A>(
    app: &Arc<A>,
    transport: Transport,
    peer: Arc<Peer>,
    admitted: Admitted,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let gate = Gate::new(transport, Arc::clone(&peer.head));
    if matches!(gate.selected_alpn_proto(), Some(ALPN::H2)) {
        // Boxed, so that HTTP/1.1 connections do not carry its space.
        Box::pin(serve_http2(app, gate, peer, admitted, limits, shutdown)).await;
    } else {
        let scope = Arc::clone(&peer);
        PEER.scope(scope, serve_http1(app, Box::new(gate), &peer, limits, shutdown)).await;
    }
}

async fn serve_http1<A>(
    app: &Arc<A>,
    mut gate: Box<Gate>,
    peer: &Peer,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let established = Instant::now();
    loop {
        if let Err(error) = read_head(&mut gate, established, limits, shutdown.clone()).await {
            refuse(&mut gate, error).await;
            return;
        }
        if gate.body_follows() {
            peer.body.arm(limits.body_timeout);
        }
        let reused = tokio::select! {
            reused = request(app, gate, shutdown) => reused,
            () = peer.body.passed() => return,
        };
        // What is answered without the exporter has nobody who says that the body has ended.
        peer.body.disarm();
        let Some(reused) = reused else { return };
        let (stream, _) = reused.consume();
        let Some(reclaimed) = Gate::reclaim(stream) else { return };
        gate = reclaimed;
        gate.deadline().arm(limits.idle_timeout);
    }
}

/// One request. Not `async`, so that the session's kilobyte is not part of a waiting connection.
fn request<'a, A: HttpServerApp>(
    app: &'a Arc<A>,
    gate: Box<Gate>,
    shutdown: &'a ShutdownWatch,
) -> impl Future<Output = Option<ReusedHttpStream>> + 'a {
    let mut session = ServerSession::new_http1(gate);
    session.set_keepalive(Some(ENGINE_KEEPALIVE_SECS));
    app.process_new_http(session, shutdown)
}

/// Wait for a request, then for its head. A connection that waits goes away at shutdown; one that
/// has begun to send may finish.
async fn read_head(
    gate: &mut Gate,
    established: Instant,
    limits: &Limits,
    mut shutdown: ShutdownWatch,
) -> Result<(), HeadError> {
    tokio::select! {
        biased;
        first = gate.first_byte() => first?,
        () = stopped(&mut shutdown, established) => return Err(HeadError::Idle),
    }
    gate.deadline().arm(limits.header_timeout);
    gate.next_head(limits.max_header_bytes).await
}

async fn refuse(gate: &mut Gate, error: HeadError) {
    let status = match error {
        HeadError::Gone | HeadError::Idle => "",
        HeadError::TooSlow => "408 Request Timeout",
        HeadError::TooLarge => "431 Request Header Fields Too Large",
        HeadError::Malformed => "400 Bad Request",
    };
    if !status.is_empty() {
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n{status}\n"
        );
        // A client that does not read its refusal loses nothing.
        let _ = gate.write_all(response.as_bytes()).await;
    }
    let _ = gate.shutdown().await;
}

async fn serve_http2<A>(
    app: &Arc<A>,
    mut gate: Gate,
    peer: Arc<Peer>,
    admitted: Admitted,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    gate.open();
    gate.deadline().arm(limits.header_timeout);
    let (streams, open) = watch::channel(0);
    let backlog = gate.backlog();
    let unacknowledged = gate.unacknowledged();
    let connection = Arc::new(Http2Connection {
        app: Arc::clone(app),
        streams,
        deadline: Arc::clone(gate.deadline()),
        peer,
        admitted,
        max_streams: limits.max_streams_per_address,
        body_timeout: limits.body_timeout,
        write_timeout: limits.write_timeout.max(SHORTEST_ENGINE_TIMEOUT),
        max_header_bytes: limits.max_header_bytes,
    });
    tokio::select! {
        _ = connection.process_new(Box::new(gate), shutdown) => {}
        () = over(open.clone(), &backlog, unacknowledged, shutdown.clone()) => {}
        () = idle(open, limits.idle_timeout) => {}
    }
}

/// Until the guard stops, no stream is open any more and the client has taken what there was: the
/// last of it waits in the engine after its stream has ended. The engine's own end waits for the
/// client to acknowledge GOAWAY, which one that is gone never does.
///
/// A socket that is closed while the client has yet to get something loses it as soon as the client
/// says anything more.
async fn over(
    mut open: watch::Receiver<usize>,
    backlog: &AtomicBool,
    unacknowledged: impl Fn() -> usize,
    mut shutdown: ShutdownWatch,
) {
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        return;
    }
    let (mut before, mut stuck) = (usize::MAX, 0);
    loop {
        tokio::time::sleep(GOAWAY_LINGER).await;
        let quiet = *open.borrow() == 0;
        let left = unacknowledged();
        stuck = if left < before { 0 } else { stuck + 1 };
        before = left;
        if quiet && !backlog.load(Ordering::Relaxed) && (left == 0 || stuck > MOST_STUCK) {
            return;
        }
        if open.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
    }
}

/// Until no stream has been open for so long.
async fn idle(mut open: watch::Receiver<usize>, idle_timeout: Duration) {
    // The sender lives as long as the connection.
    while open.wait_for(|open| *open == 0).await.is_ok() {
        // Also one that has ended since.
        if tokio::time::timeout(idle_timeout, open.changed()).await.is_err() {
            return;
        }
    }
}

/// Gives every stream of an HTTP/2 connection its context and its deadlines.
struct Http2Connection<A> {
    app: Arc<A>,
    /// How many are open.
    streams: watch::Sender<usize>,
    /// For the first request.
    deadline: Arc<Deadline>,
    peer: Arc<Peer>,
    admitted: Admitted,
    max_streams: usize,
    body_timeout: Duration,
    write_timeout: Duration,
    max_header_bytes: usize,
}

struct ActiveStream<'a>(&'a watch::Sender<usize>);

impl<'a> ActiveStream<'a> {
    fn begin(streams: &'a watch::Sender<usize>) -> Self {
        streams.send_modify(|open| *open += 1);
        Self(streams)
    }
}

impl Drop for ActiveStream<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

#[async_trait]
impl<A> HttpServerApp for Http2Connection<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.deadline.disarm();
        let _stream = ActiveStream::begin(&self.streams);
        let Some(_place) = self.admitted.place.begin_stream(self.max_streams) else {
            (self.admitted.stream_refused)();
            session.shutdown_with_reason(REFUSED_STREAM.into());
            return None;
        };
        let peer = Arc::new(self.peer.for_stream());
        if !session.is_body_empty() {
            peer.body.arm(self.body_timeout);
        }
        session.set_write_timeout(Some(self.write_timeout));
        tokio::select! {
            reused = PEER.scope(Arc::clone(&peer), self.app.process_new_http(session, shutdown)) => reused,
            () = peer.body.passed() => None,
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_header_list_size(u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX));
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        None
    }
}
