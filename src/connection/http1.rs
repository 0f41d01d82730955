//! HTTP/1 connections: one request after the other.

use std::sync::Arc;

use pingora::apps::{HttpServerApp, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::budget;
use super::client_stream::{ClientStream, RequestHeadError};
use super::peer::Peer;
use super::serve::{Admitted, stopped};
use crate::config::Limits;

/// pingora closes a connection without a keep-alive timeout; the deadline of the stream is what ends
/// an idle connection.
const ENGINE_KEEPALIVE_SECS: u64 = 3600;

/// Serves requests until either side has had enough.
pub(super) async fn serve<A>(
    app: &Arc<A>,
    mut stream: Box<ClientStream>,
    peer: &Peer,
    admitted: &Admitted,
    limits: &Limits,
    shutdown: &ShutdownWatch,
) where
    A: HttpServerApp + Send + Sync + 'static,
{
    let established = Instant::now();
    loop {
        if let Err(error) = read_head(&mut stream, established, limits, shutdown.clone()).await {
            refuse(&mut stream, error).await;
            return;
        }
        let Some(_request) = peer.memory.charge(stream.request_bytes()) else {
            (admitted.refused)("Request", budget::REASON);
            refuse(&mut stream, RequestHeadError::NoMemory).await;
            return;
        };
        if stream.body_follows() {
            peer.body.arm(limits.body_timeout);
        }
        let reused = tokio::select! {
            reused = request(app, stream, shutdown) => reused,
            () = peer.body.passed() => return,
            () = peer.memory.revoked() => None,
        };
        // An answer that needs no exporter leaves the deadline of the body armed.
        peer.body_received();
        let Some(reused) = reused else {
            if peer.memory.is_exhausted() {
                (admitted.refused)("Request", budget::REASON);
            }
            return;
        };
        let (engine_stream, _) = reused.consume();
        let Some(reclaimed) = ClientStream::reclaim(engine_stream) else { return };
        stream = reclaimed;
        stream.deadline().arm(limits.idle_timeout);
    }
}

/// Serves one request. Not `async`, so that the session's kilobyte is not part of a connection that
/// waits.
fn request<'a, A: HttpServerApp>(
    app: &'a Arc<A>,
    stream: Box<ClientStream>,
    shutdown: &'a ShutdownWatch,
) -> impl Future<Output = Option<ReusedHttpStream>> + 'a {
    let mut session = ServerSession::new_http1(stream);
    session.set_keepalive(Some(ENGINE_KEEPALIVE_SECS));
    app.process_new_http(session, shutdown)
}

/// Waits for a request, then for its head. At shutdown a connection that waits is closed, and one
/// whose client has begun to send may finish.
async fn read_head(
    stream: &mut ClientStream,
    established: Instant,
    limits: &Limits,
    mut shutdown: ShutdownWatch,
) -> Result<(), RequestHeadError> {
    tokio::select! {
        biased;
        first = stream.first_byte() => first?,
        () = stopped(&mut shutdown, established) => return Err(RequestHeadError::Idle),
    }
    stream.deadline().arm(limits.header_timeout);
    stream.next_head(limits.max_header_bytes).await
}

/// Answers a request whose head is no use, and closes the connection.
async fn refuse(stream: &mut ClientStream, error: RequestHeadError) {
    let status = match error {
        RequestHeadError::Gone | RequestHeadError::Idle => "",
        RequestHeadError::TooSlow => "408 Request Timeout",
        RequestHeadError::TooLarge => "431 Request Header Fields Too Large",
        RequestHeadError::Malformed => "400 Bad Request",
        RequestHeadError::NoMemory => "503 Service Unavailable",
    };
    if !status.is_empty() {
        let retry = match error {
            RequestHeadError::NoMemory => "Retry-After: 1\r\n",
            _ => "",
        };
        let response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n{retry}Connection: close\r\n\r\n{status}\n"
        );
        // A client that does not read its refusal loses nothing.
        let _ = stream.write_all(response.as_bytes()).await;
    }
    let _ = stream.shutdown().await;
}
