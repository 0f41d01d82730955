//! Connections to exporters that are read no faster than the client takes the answer.
//!
//! pingora reads an answer ahead of its client, up to ten pieces of 64 KiB, and has no option for it.
//! A [`PacedStream`] gives it smaller pieces while earlier ones wait, so that at most 64 KiB of an answer
//! are in the engine, and 192 KiB if the client has kept up before.

use std::any::Any;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::http::custom::{Connection, Connector};
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    Stream, TimingDigest, UniqueID, UniqueIDType,
};
use pingora::upstreams::peer::Peer as Upstream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::{self, ReadAhead, WIDE_PIECE_BYTES};

/// Makes the connections to exporters; pingora's own pool keeps those that can be used again.
pub struct PacedConnector(TransportConnector);

impl PacedConnector {
    /// Builds a connector without a pool of its own.
    pub fn new() -> Self {
        Self(TransportConnector::new(Some(ConnectorOptions::new(1))))
    }
}

#[async_trait]
impl Connector for PacedConnector {
    /// There are no sessions but HTTP/1, which pingora makes of a stream.
    type Session = ();

    async fn get_http_session<P: Upstream + Send + Sync + 'static>(
        &self,
        peer: &P,
    ) -> Result<(Connection<()>, bool)> {
        let Some(peer) = (peer as &dyn Any).downcast_ref::<HttpPeer>() else {
            return Err(Error::explain(ErrorType::InternalError, "not a peer of the guard's"));
        };
        let mut peer = peer.clone();
        // The custom protocol brings the request here; the exporter must not be asked for it.
        peer.options.alpn = ALPN::H1;
        let stream = self.0.new_stream(&peer).await?;
        Ok((Connection::Stream(Box::new(PacedStream(stream))), false))
    }

    async fn reused_http_session<P: Upstream + Send + Sync + 'static>(&self, _: &P) -> Option<()> {
        None
    }

    async fn release_http_session<P: Upstream + Send + Sync + 'static>(
        &self,
        (): (),
        _: &P,
        _: Option<Duration>,
    ) {
    }
}

/// A connection to an exporter.
#[derive(Debug)]
struct PacedStream(Stream);

impl PacedStream {
    /// Reads one piece of at most `limit` bytes.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        limit: usize,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if limit >= buf.remaining() {
            return Pin::new(&mut self.0).poll_read(cx, buf);
        }
        let mut piece = [MaybeUninit::uninit(); WIDE_PIECE_BYTES];
        let mut piece = ReadBuf::uninit(&mut piece[..limit.min(WIDE_PIECE_BYTES)]);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut piece))?;
        buf.put_slice(piece.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for PacedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let limit = connection::with_read_ahead(ReadAhead::allowance);
        let limit = match limit {
            // Outside a request: pingora looks whether the connection is still open.
            None => usize::MAX,
            Some(Some(limit)) => limit,
            Some(None) => {
                // Lets the other half of the request take what was read.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        };
        let before = buf.filled().len();
        ready!(self.poll_piece(cx, limit, buf))?;
        let bytes = buf.filled().len() - before;
        connection::with_read_ahead(|read_ahead| read_ahead.read(bytes));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PacedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for PacedStream {
    async fn shutdown(&mut self) {
        self.0.shutdown().await;
    }
}

impl UniqueID for PacedStream {
    fn id(&self) -> UniqueIDType {
        self.0.id()
    }
}

impl Ssl for PacedStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.0.get_ssl()
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.0.get_ssl_digest()
    }
}

impl GetTimingDigest for PacedStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.0.get_timing_digest()
    }

    fn get_read_pending_time(&self) -> Duration {
        self.0.get_read_pending_time()
    }

    fn get_write_pending_time(&self) -> Duration {
        self.0.get_write_pending_time()
    }
}

impl GetProxyDigest for PacedStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.0.get_proxy_digest()
    }
}

impl GetSocketDigest for PacedStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.0.get_socket_digest()
    }
}

impl Peek for PacedStream {}
