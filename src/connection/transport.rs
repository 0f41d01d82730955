//! The transport under HTTP: a socket, or TLS over one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use openssl::ssl::SslRef;
use pingora::protocols::tls::SslStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::io::SocketIo;

/// A connection that carries HTTP.
#[derive(Debug)]
pub enum Transport {
    /// A socket without TLS.
    Plain(SocketIo),
    /// TLS over a socket.
    Tls(Box<SslStream<SocketIo>>),
}

impl Transport {
    /// Returns the socket, which is below TLS if there is TLS.
    pub fn socket(&self) -> &SocketIo {
        match self {
            Self::Plain(io) => io,
            Self::Tls(stream) => stream.get_ref(),
        }
    }

    /// Returns the TLS session; `None` without TLS.
    pub fn ssl(&self) -> Option<&SslRef> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(stream) => Some(stream.ssl()),
        }
    }

    /// Reads as [`AsyncRead::poll_read`] does.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
        }
    }

    /// Writes as [`AsyncWrite::poll_write`] does.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
        }
    }

    /// Flushes as [`AsyncWrite::poll_flush`] does.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
        }
    }

    /// Shuts the write side down as [`AsyncWrite::poll_shutdown`] does.
    pub fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
        }
    }
}
