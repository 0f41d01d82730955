//! One connection from its first request to its last, over any pingora HTTP application.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::protocols::{ALPN, Ssl};
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;

use super::deadline::Deadline;
use super::gate::{Gate, HeadError, Transport};
use crate::config::Limits;

/// pingora needs some keep-alive time to keep a connection; the gate's deadline is what counts.
const ENGINE_KEEPALIVE_SECS: u64 = 3600;

/// How long a client has to see GOAWAY, and to send what it had begun, before its idle connection
/// is closed.
const GOAWAY_LINGER: Duration = Duration::from_millis(250);

/// Who is at the other end; the same for every request of a connection.
#[derive(Debug)]
pub struct Peer {
    /// `None` on a unix socket.
    pub address: Option<SocketAddr>,
    pub tls: bool,
    /// For the head of an HTTP/1 request.
    deadline: Arc<Deadline>,
}

impl Peer {
    pub fn new(address: Option<SocketAddr>, tls: bool, deadline: Arc<Deadline>) -> Self {
        Self { address, tls, deadline }
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

tokio::task_local! {
    static PEER: Arc<Peer>;
}

/// To be called by an application once the engine has read the head of a request: the deadline
/// for it is off. Who asks.
pub fn request_begins() -> Arc<Peer> {
    PEER.with(|peer| {
        peer.deadline.disarm();
        Arc::clone(peer)
    })
}

/// Serve requests until the client leaves, a limit is reached or the guard stops.
pub async fn serve<A>(
    app: &Arc<A>,
    transport: Transport,
    peer: Arc<Peer>,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let gate = Gate::new(transport, Arc::clone(&peer.deadline));
    if matches!(gate.selected_alpn_proto(), Some(ALPN::H2)) {
        // Boxed, so that HTTP/1.1 connections do not carry its space.
        Box::pin(serve_http2(app, gate, peer, limits, shutdown)).await;
    } else {
        PEER.scope(peer, serve_http1(app, Box::new(gate), limits, shutdown)).await;
    }
}

async fn serve_http1<A>(
    app: &Arc<A>,
    mut gate: Box<Gate>,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    loop {
        if let Err(error) = read_head(&mut gate, limits, shutdown.clone()).await {
            refuse(&mut gate, error).await;
            return;
        }
        let Some(reused) = request(app, gate, shutdown).await else { return };
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
    limits: &Limits,
    mut shutdown: ShutdownWatch,
) -> Result<(), HeadError> {
    if !gate.has_buffered() {
        tokio::select! {
            biased;
            first = gate.first_byte() => first?,
            // A sender that is gone means that the guard stops, too.
            _ = shutdown.wait_for(|stop| *stop) => return Err(HeadError::Idle),
        }
        gate.deadline().arm(limits.header_timeout);
    }
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
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    gate.open();
    gate.deadline().arm(limits.header_timeout);
    let activity = Arc::new(Activity {
        streams: AtomicUsize::new(0),
        quiet: Notify::new(),
        deadline: Arc::clone(gate.deadline()),
        idle_timeout: limits.idle_timeout,
    });
    let connection = Arc::new(Http2Connection {
        app: Arc::clone(app),
        activity: Arc::clone(&activity),
        peer,
        max_header_bytes: limits.max_header_bytes,
    });
    tokio::select! {
        _ = connection.process_new(Box::new(gate), shutdown) => {}
        () = activity.over(shutdown.clone()) => {}
    }
}

/// Gives every stream of an HTTP/2 connection its context, and the connection its deadlines.
struct Http2Connection<A> {
    app: Arc<A>,
    activity: Arc<Activity>,
    peer: Arc<Peer>,
    max_header_bytes: usize,
}

/// Arms the idle deadline whenever no stream is open.
struct Activity {
    streams: AtomicUsize,
    /// Told when the last stream ends.
    quiet: Notify,
    deadline: Arc<Deadline>,
    idle_timeout: Duration,
}

impl Activity {
    /// Until the guard stops and nothing runs any more. The engine's own end waits for the client
    /// to acknowledge GOAWAY, which one that is gone never does.
    async fn over(&self, mut shutdown: ShutdownWatch) {
        if shutdown.wait_for(|stop| *stop).await.is_err() {
            return;
        }
        loop {
            tokio::time::sleep(GOAWAY_LINGER).await;
            if self.streams.load(Ordering::Acquire) == 0 {
                return;
            }
            self.quiet.notified().await;
        }
    }
}

struct ActiveStream(Arc<Activity>);

impl ActiveStream {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.streams.fetch_add(1, Ordering::AcqRel);
        activity.deadline.disarm();
        Self(Arc::clone(activity))
    }
}

impl Drop for ActiveStream {
    fn drop(&mut self) {
        if self.0.streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.deadline.arm(self.0.idle_timeout);
            self.0.quiet.notify_one();
        }
    }
}

#[async_trait]
impl<A> HttpServerApp for Http2Connection<A>
where
    A: HttpServerApp + Send + Sync + 'static,
{
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _stream = ActiveStream::begin(&self.activity);
        PEER.scope(Arc::clone(&self.peer), self.app.process_new_http(session, shutdown)).await
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
