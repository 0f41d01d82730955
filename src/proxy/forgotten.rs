//! Small answers over HTTP/2 to requests that are forgotten before the client takes them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use tokio::time::timeout;

use crate::connection::Peer;

/// Sends the body of a refusal, whose head is sent, and ends the stream. A client without a window for
/// it costs a task of a few hundred bytes until it has one, and at most its write timeout: what the
/// request itself holds is given back at once. Returns the bytes of the body, which pingora does not
/// count.
pub fn send(session: &mut Session, peer: &Arc<Peer>, mut body: Bytes) -> usize {
    let limit = session.as_downstream().get_write_timeout();
    let ServerSession::H2(http2) = session.as_downstream_mut() else { return 0 };
    let Some(mut stream) = http2.take_response_body_writer() else { return 0 };
    let bytes = body.len();
    if body.is_empty() {
        return 0;
    }
    stream.reserve_capacity(body.len());
    if stream.capacity() >= body.len() {
        // An error means that the client has reset the stream.
        let _ = stream.send_data(body, true);
        return bytes;
    }
    let peer = Arc::clone(peer);
    peer.forget_request();
    tokio::spawn(async move {
        let send = async {
            while !body.is_empty() {
                let Some(Ok(n)) = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await else {
                    return;
                };
                let piece = body.split_to(n.min(body.len()));
                if stream.send_data(piece, body.is_empty()).is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            _ = timeout(limit.unwrap_or(Duration::MAX), send) => {}
            () = peer.memory.revoked() => {}
        }
    });
    bytes
}
