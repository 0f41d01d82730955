//! The stream handed to pingora: releases one HTTP/1 request head at a time.
//!
//! pingora reads 64 KiB at a time, waits for a head with a timeout per read, and closes on
//! pipelined bytes. Here the head is collected first, under an absolute deadline and a byte cap,
//! and what follows a request without a body stays back until that request is answered. An idle
//! connection holds no buffer at all.

use std::io;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::deadline::Deadline;
use super::request_head::{self, BodyFraming, Head};
use super::transport::Transport;
use crate::os::sockets;

/// Read at a time while looking for the end of a head; on the stack, so that waiting holds none.
const HEAD_READ: usize = 4096;

/// Bytes a client may send ahead while its request is being answered, before they are left in the
/// socket.
const READ_AHEAD: usize = 16 * 1024;

/// Empty lines that may come before a request. There is no reason for more than one.
const MAX_EMPTY_LINES: usize = 1024;

/// Small writes are put together to this much, the most that a TLS record takes: the engine writes
/// the head, the size of a chunk, the chunk and its end one by one.
const WRITE_TOGETHER: usize = 16 * 1024;

/// What the engine may read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    /// Nothing: between requests, or all of this one is out.
    Held,
    /// This many buffered bytes, then nothing.
    Bytes(usize),
    /// Everything: a request with a body, or HTTP/2.
    All,
}

/// Why no further request comes from a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestHeadError {
    /// Closed or broken, with or without a piece of a head: nobody to answer.
    Gone,
    /// The deadline passed while nothing had been sent: the normal end of an idle connection.
    Idle,
    /// The deadline passed in the middle of a head.
    TooSlow,
    /// More bytes than allowed.
    TooLarge,
    /// One that another server may read in another way.
    Malformed,
}

#[derive(Debug)]
pub struct ClientStream {
    transport: Transport,
    deadline: Arc<Deadline>,
    buffered: Vec<u8>,
    release: Release,
    /// Written, but not yet given to the transport.
    unwritten: Vec<u8>,
}

impl ClientStream {
    pub fn new(transport: Transport) -> Self {
        let deadline = Arc::clone(&transport.socket().deadline);
        Self {
            transport,
            deadline,
            buffered: Vec::new(),
            release: Release::Held,
            unwritten: Vec::new(),
        }
    }

    /// Let everything through: HTTP/2 frames itself.
    pub fn release_all(&mut self) {
        self.release = Release::All;
    }

    pub fn deadline(&self) -> &Arc<Deadline> {
        &self.deadline
    }

    /// Whether the client has yet to take something before more can be written.
    pub fn backlog(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.transport.socket().backlog)
    }

    /// How many bytes the kernel has yet to deliver, for as long as the gate lives.
    pub fn unacknowledged(&self) -> impl Fn() -> usize + use<> {
        let fd = self.transport.socket().as_raw_fd();
        move || sockets::unacknowledged(fd)
    }

    /// Whether bytes of a request have come already.
    fn has_buffered(&self) -> bool {
        !self.buffered.is_empty()
    }

    /// Whether the request that was released last has a body.
    pub fn body_follows(&self) -> bool {
        self.release == Release::All
    }

    /// Wait for the first byte of the next request, under the deadline that is armed. Empty lines
    /// before it do not count (RFC 9112 section 2.2).
    pub async fn first_byte(&mut self) -> Result<(), RequestHeadError> {
        let mut skipped = 0;
        loop {
            skipped += self.skip_empty_lines();
            // A deadline is looked at while nothing comes; this is what never ends.
            if skipped > MAX_EMPTY_LINES {
                return Err(RequestHeadError::Malformed);
            }
            // Half of a line end may be of an empty line.
            if self.has_buffered() && self.buffered != b"\r" {
                return Ok(());
            }
            std::future::poll_fn(|cx| self.poll_fill(cx)).await.map_err(|error| {
                match error.kind() {
                    io::ErrorKind::TimedOut => RequestHeadError::Idle,
                    _ => RequestHeadError::Gone,
                }
            })?;
        }
    }

    /// Collect one request head of at most `max_bytes`, whose first byte has come, under the deadline that is armed, and
    /// release it to the engine.
    pub async fn next_head(&mut self, max_bytes: usize) -> Result<(), RequestHeadError> {
        let mut searched = 0;
        loop {
            match request_head::find(&self.buffered, searched) {
                Head::Complete { len, .. } if len > max_bytes => {
                    return Err(RequestHeadError::TooLarge);
                }
                Head::Malformed => return Err(RequestHeadError::Malformed),
                Head::Complete { body: BodyFraming::Framed, .. } => {
                    self.release = Release::All;
                    return Ok(());
                }
                Head::Complete { len, body: BodyFraming::None } => {
                    self.release = Release::Bytes(len);
                    return Ok(());
                }
                Head::Partial if self.buffered.len() >= max_bytes => {
                    return Err(RequestHeadError::TooLarge);
                }
                Head::Partial => searched = self.buffered.len(),
            }
            std::future::poll_fn(|cx| self.poll_fill(cx)).await.map_err(|error| {
                match error.kind() {
                    io::ErrorKind::TimedOut => RequestHeadError::TooSlow,
                    _ => RequestHeadError::Gone,
                }
            })?;
        }
    }

    /// How many there were.
    fn skip_empty_lines(&mut self) -> usize {
        let (mut rest, mut lines) = (self.buffered.as_slice(), 0);
        while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = rest {
            (rest, lines) = (after, lines + 1);
        }
        let empty = self.buffered.len() - rest.len();
        self.buffered.drain(..empty);
        lines
    }

    /// Take the gate back from the engine after a response, closed until the next head.
    pub fn reclaim(stream: pingora::protocols::Stream) -> Option<Box<Self>> {
        let mut gate = stream.into_any().downcast::<Self>().ok()?;
        gate.release = Release::Held;
        Some(gate)
    }

    /// Read some more bytes into the buffer. The end of the stream is an error here.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [std::mem::MaybeUninit::uninit(); HEAD_READ];
        let mut buf = ReadBuf::uninit(&mut chunk);
        ready!(self.poll_read_transport(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.buffered.extend_from_slice(buf.filled());
        Poll::Ready(Ok(()))
    }

    /// Before it waits for the client, a connection gives the client what there is.
    fn poll_read_transport(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(result) = self.transport.poll_read(cx, buf) {
            return Poll::Ready(result);
        }
        match self.poll_write_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // Below, the socket flushes when it has nothing to read.
            Poll::Ready(Ok(true)) => self.transport.poll_read(cx, buf),
            Poll::Ready(Ok(false)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Give the transport what was put together; whether there was anything.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        if self.unwritten.is_empty() {
            return Poll::Ready(Ok(false));
        }
        while !self.unwritten.is_empty() {
            let written = ready!(self.transport.poll_write(cx, &self.unwritten))?;
            self.unwritten.drain(..written);
        }
        self.unwritten = Vec::new();
        Poll::Ready(Ok(true))
    }

    fn take_buffered(&mut self, limit: usize, buf: &mut ReadBuf<'_>) -> usize {
        let n = limit.min(buf.remaining()).min(self.buffered.len());
        buf.put_slice(&self.buffered[..n]);
        if n == self.buffered.len() {
            self.buffered = Vec::new();
        } else {
            self.buffered.drain(..n);
        }
        n
    }

    /// While a request without a body is answered, the engine reads only to learn that the client
    /// left. Bytes of the next request are kept for later and are no news to it, nor is it that
    /// they were the last.
    fn poll_client_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.buffered.len() < READ_AHEAD {
            match ready!(self.poll_fill(cx)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return if self.has_buffered() { Poll::Pending } else { Poll::Ready(Ok(())) };
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match this.release {
            Release::Bytes(left) if left > 0 => {
                let n = this.take_buffered(left, buf);
                this.release = Release::Bytes(left - n);
                Poll::Ready(Ok(()))
            }
            Release::All if this.has_buffered() => {
                this.take_buffered(usize::MAX, buf);
                Poll::Ready(Ok(()))
            }
            Release::All => this.poll_read_transport(cx, buf),
            Release::Bytes(_) | Release::Held => this.poll_client_gone(cx),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.unwritten.is_empty() && buf.len() >= WRITE_TOGETHER {
            return self.transport.poll_write(cx, buf);
        }
        if self.unwritten.len() >= WRITE_TOGETHER {
            ready!(self.poll_write_out(cx))?;
        }
        let n = buf.len().min(WRITE_TOGETHER - self.unwritten.len());
        self.unwritten.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        self.transport.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        self.transport.poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for ClientStream {
    async fn shutdown(&mut self) {
        // The peer may be gone already.
        let _ = AsyncWriteExt::shutdown(self).await;
    }
}

impl Ssl for ClientStream {
    fn get_ssl(&self) -> Option<&TlsRef> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => tls.get_ssl(),
        }
    }

    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => tls.get_ssl_digest(),
        }
    }

    fn selected_alpn_proto(&self) -> Option<ALPN> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => tls.selected_alpn_proto(),
        }
    }
}

// What pingora would log or pool by; the connection's own context carries the peer's address.
impl UniqueID for ClientStream {
    fn id(&self) -> UniqueIDType {
        0
    }
}
impl Peek for ClientStream {}
impl GetTimingDigest for ClientStream {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}
impl GetProxyDigest for ClientStream {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}
impl GetSocketDigest for ClientStream {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}
