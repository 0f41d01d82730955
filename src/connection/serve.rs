//! An established connection: HTTP/1 or HTTP/2 over any pingora HTTP application.

use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::protocols::{ALPN, Ssl};
use pingora::server::ShutdownWatch;
use tokio::time::Instant;

use super::client_stream::ClientStream;
use super::limits::ConnectionPermit;
use super::peer::{Peer, with_peer};
use super::transport::Transport;
use super::{http1, http2};
use crate::config::Limits;

/// The time that a client that has made progress may take to make more when the guard stops: from its
/// accept to the beginning of a handshake, and from the end of that to the beginning of a request.
/// A client that has just connected is about to ask, and would take a closed connection for a failure.
/// (After a restart the successor may be listening on the same socket; the connection is still ours.)
const FRESH_FOR: Duration = Duration::from_millis(300);

/// Waits until the guard stops and a connection that last made progress at `since` may be closed.
pub async fn stopped(shutdown: &mut ShutdownWatch, since: Instant) {
    // A sender that is gone means that the guard stops, too.
    let _ = shutdown.wait_for(|stop| *stop).await;
    tokio::time::sleep_until(since + FRESH_FOR).await;
}

/// The count of a connection against the limits.
pub struct Admitted {
    /// Held until the connection and its streams have ended.
    pub permit: ConnectionPermit,
    /// Called with what is refused (a stream, a request), and with the reason.
    pub refused: Box<dyn Fn(&'static str, &'static str) + Send + Sync>,
}

/// Serves requests until the client leaves, a limit is reached or the guard stops.
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
    let mut stream = ClientStream::new(transport);
    stream.set_memory(&peer.memory);
    if matches!(stream.selected_alpn_proto(), Some(ALPN::H2)) {
        // Boxed, so that HTTP/1.1 connections do not carry its space.
        Box::pin(http2::serve(app, stream, peer, admitted, limits, shutdown)).await;
    } else {
        let scope = Arc::clone(&peer);
        with_peer(scope, http1::serve(app, Box::new(stream), &peer, &admitted, limits, shutdown))
            .await;
    }
}
