//! HTTP/2 connections: streams side by side, each with its own deadlines.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream, ServerApp};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;
use tokio::sync::{Notify, watch};

use super::budget;
use super::client_stream::ClientStream;
use super::deadline::Deadline;
use super::peer::{Peer, StreamScope, with_peer};
use super::serve::Admitted;
use crate::config::Limits;

/// pingora runs shorter timers on a thread of its own that wakes 100 times a second for ever.
const MIN_ENGINE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time that a client has to see GOAWAY, and to send what it had begun, before its idle connection
/// is closed.
const GOAWAY_LINGER: Duration = Duration::from_millis(250);

/// Polls without progress (12 × 250 ms) before the client counts as gone.
const MAX_POLLS_WITHOUT_PROGRESS: u32 = 12;

/// Bytes of an answer that wait in the engine once the client has a window for them, for each stream:
/// two frames of the usual size.
pub const MAX_SEND_BUFFER: usize = 32 * 1024;

/// The reason of a refusal as the log and the metrics name it.
const TOO_MANY_STREAMS: &str = "too many streams from one address";

/// Tells a client that nothing was done, so that it may ask again (RFC 9113 section 8.7).
const REFUSED_STREAM: u32 = 0x7;

/// Serves streams until the client leaves, is idle for too long, or the guard stops.
pub(super) async fn serve<A>(
    app: &Arc<A>,
    mut stream: ClientStream,
    peer: Arc<Peer>,
    admitted: Admitted,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    stream.release_all();
    stream.deadline().arm(limits.header_timeout);
    let (streams, open) = watch::channel(0);
    let memory = Arc::clone(&peer.memory);
    let backlog = stream.backlog();
    let unacknowledged = stream.unacknowledged();
    let closing = Arc::clone(&peer.closing);
    let connection = Arc::new(Http2Connection {
        app: Arc::clone(app),
        open_streams: Arc::new(streams),
        deadline: Arc::clone(stream.deadline()),
        peer,
        admitted,
        max_streams: limits.max_streams_per_address,
        body_timeout: limits.body_timeout,
        write_timeout: limits.write_timeout.max(MIN_ENGINE_TIMEOUT),
        max_header_bytes: limits.max_header_bytes,
    });
    let (stop, stopping) = watch::channel(false);
    tokio::select! {
        _ = connection.process_new(Box::new(stream), &stopping) => {}
        () = drained(open.clone(), &backlog, unacknowledged, stopping.clone()) => {}
        () = idle(open, limits.idle_timeout) => {}
        () = stop_when_closing(&stop, &closing, shutdown.clone()) => {}
    }
    if memory.is_exhausted() {
        (connection.admitted.refused)("Connection", budget::REASON);
    }
}

/// Tells the engine to send GOAWAY once the guard stops, or a request has closed the connection.
async fn stop_when_closing(
    stop: &watch::Sender<bool>,
    closing: &Notify,
    mut shutdown: ShutdownWatch,
) {
    tokio::select! {
        // A sender that is gone means that the guard stops, too.
        _ = shutdown.wait_for(|stop| *stop) => {}
        () = closing.notified() => {}
    }
    // The engine may have ended.
    let _ = stop.send(true);
    std::future::pending().await
}

/// Waits until the guard stops, no stream is open any more and the client has taken every answer, or
/// has stopped taking it.
///
/// The last bytes of an answer wait in the engine after their stream has ended, and the engine itself
/// waits for the client to acknowledge GOAWAY, which one that is gone never does. A socket that is
/// closed while the client has yet to take something loses it as soon as the client says anything
/// more.
async fn drained(
    mut open: watch::Receiver<usize>,
    backlog: &AtomicBool,
    unacknowledged: impl Fn() -> usize,
    mut shutdown: ShutdownWatch,
) {
    if shutdown.wait_for(|stop| *stop).await.is_err() {
        return;
    }
    let (mut before, mut without_progress) = (usize::MAX, 0);
    loop {
        tokio::time::sleep(GOAWAY_LINGER).await;
        let quiet = *open.borrow() == 0;
        let left = unacknowledged();
        without_progress = if left < before { 0 } else { without_progress + 1 };
        before = left;
        let taken = left == 0 || without_progress > MAX_POLLS_WITHOUT_PROGRESS;
        if quiet && !backlog.load(Ordering::Relaxed) && taken {
            return;
        }
        if open.wait_for(|open| *open == 0).await.is_err() {
            return;
        }
    }
}

/// Waits until no stream has been open for `idle_timeout`.
async fn idle(mut open: watch::Receiver<usize>, idle_timeout: Duration) {
    // The sender lives as long as the connection.
    while open.wait_for(|open| *open == 0).await.is_ok() {
        // A stream that has begun and ended meanwhile ends the idle time, too.
        if tokio::time::timeout(idle_timeout, open.changed()).await.is_err() {
            return;
        }
    }
}

/// Gives every stream of a connection its client and its deadlines.
struct Http2Connection<A> {
    app: Arc<A>,
    /// The number of open streams.
    open_streams: Arc<watch::Sender<usize>>,
    /// The deadline for the first request.
    deadline: Arc<Deadline>,
    peer: Arc<Peer>,
    admitted: Admitted,
    max_streams: usize,
    body_timeout: Duration,
    write_timeout: Duration,
    max_header_bytes: usize,
}

/// Counts a stream as open until it is dropped.
#[derive(Debug)]
pub(super) struct OpenStream(Arc<watch::Sender<usize>>);

impl OpenStream {
    fn begin(open_streams: &Arc<watch::Sender<usize>>) -> Self {
        open_streams.send_modify(|open| *open += 1);
        Self(Arc::clone(open_streams))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl<A> Http2Connection<A> {
    /// Counts a stream against the limits, and returns its client.
    ///
    /// # Errors
    ///
    /// Returns the reason why the stream is refused.
    fn begin_stream(&self, session: &ServerSession) -> Result<Peer, &'static str> {
        let open = OpenStream::begin(&self.open_streams);
        let permit = self.admitted.permit.begin_stream(self.max_streams);
        let permit = permit.ok_or(TOO_MANY_STREAMS)?;
        let memory = self.peer.memory.another();
        let bytes = budget::request_bytes(&session.req_header().headers);
        let request = memory.charge(bytes).ok_or(budget::REASON)?;
        let scope = StreamScope { _permit: permit, _open: open, request: Mutex::new(request) };
        Ok(self.peer.for_stream(memory, scope))
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
        let peer = match self.begin_stream(&session) {
            Ok(peer) => Arc::new(peer),
            Err(reason) => {
                (self.admitted.refused)("Stream", reason);
                session.shutdown_with_reason(REFUSED_STREAM.into());
                return None;
            }
        };
        if !session.is_body_empty() {
            peer.body.arm(self.body_timeout);
        }
        session.set_write_timeout(Some(self.write_timeout));
        let request = self.app.process_new_http(session, shutdown);
        tokio::select! {
            reused = with_peer(Arc::clone(&peer), request) => reused,
            () = peer.body.passed() => None,
            () = peer.memory.revoked() => {
                (self.admitted.refused)("Stream", budget::REASON);
                None
            }
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_send_buffer_size(MAX_SEND_BUFFER);
        options.max_header_list_size(u32::try_from(self.max_header_bytes).unwrap_or(u32::MAX));
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        None
    }
}
