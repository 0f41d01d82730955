//! The stream that pingora reads a client from: it releases one HTTP/1 request head at a time.
//!
//! pingora reads 64 KiB at a time, applies its timeout for a head to each read, and closes a
//! connection on pipelined bytes. So this stream collects the head first, under an absolute
//! deadline and a limit of bytes, and holds back the bytes after a request without a body until
//! that request is answered. An idle connection holds no buffer at all.

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

/// Bytes of one read that looks for the end of a head. They are on the stack, so that a connection
/// that waits holds none.
const HEAD_READ_SIZE: usize = 4096;

/// Bytes that are read of the next requests while one is being answered; more stay in the socket.
const MAX_READ_AHEAD: usize = 16 * 1024;

/// Empty lines that are skipped before a request; a client has no reason to send more than one.
const MAX_EMPTY_LINES: usize = 1024;

/// Bytes that small writes are collected to: as many as a TLS record holds. The engine writes the
/// head, the size of a chunk, the chunk and its end one by one.
const WRITE_BUFFER_SIZE: usize = 16 * 1024;

/// The bytes that the engine may read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    /// None: the connection is between requests.
    Held,
    /// This many buffered bytes, then none.
    Bytes(usize),
    /// All that come: the request has a body, or the connection speaks HTTP/2.
    All,
}

/// The reason why no further request comes from a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum RequestHeadError {
    /// The connection was closed or broke, with or without a part of a head; an answer would not
    /// arrive.
    Gone,
    /// The deadline passed before the first byte: the normal end of an idle connection.
    Idle,
    /// The deadline passed in the middle of a head.
    TooSlow,
    /// The head has more bytes than allowed.
    TooLarge,
    /// The head is one that another server may read in another way.
    Malformed,
}

/// A client's connection, as pingora reads requests from it and writes answers to it.
#[derive(Debug)]
pub struct ClientStream {
    transport: Transport,
    deadline: Arc<Deadline>,
    buffered: Vec<u8>,
    release: Release,
    /// Bytes that the engine has written and the transport has not taken yet.
    unwritten: Vec<u8>,
}

impl ClientStream {
    /// Wraps a transport; the engine reads nothing until a head is released.
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

    /// Releases everything from now on, for HTTP/2, which frames its requests itself.
    pub fn release_all(&mut self) {
        self.release = Release::All;
    }

    /// Returns the deadline for reads, which is armed for each phase of the connection.
    pub fn deadline(&self) -> &Arc<Deadline> {
        &self.deadline
    }

    /// Returns a flag that is true while the client has to take bytes before more can be written.
    pub fn backlog(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.transport.socket().backlog)
    }

    /// Returns a function that returns how many bytes the kernel has yet to deliver to the client.
    /// It is valid as long as the stream, whose descriptor it uses.
    pub fn unacknowledged(&self) -> impl Fn() -> usize + use<> {
        let fd = self.transport.socket().as_raw_fd();
        move || sockets::unacknowledged(fd)
    }

    fn has_buffered(&self) -> bool {
        !self.buffered.is_empty()
    }

    /// Returns whether the request that was released last has a body.
    pub fn body_follows(&self) -> bool {
        self.release == Release::All
    }

    /// Waits for the first byte of the next request, under the deadline that is armed. Empty lines
    /// before a request are skipped (RFC 9112 section 2.2).
    ///
    /// # Errors
    ///
    /// Returns [`RequestHeadError::Idle`] when the deadline passes, [`RequestHeadError::Gone`] when
    /// the connection ends, and [`RequestHeadError::Malformed`] after more than 1024 empty lines.
    pub async fn first_byte(&mut self) -> Result<(), RequestHeadError> {
        let mut skipped = 0;
        loop {
            skipped += self.skip_empty_lines();
            // The deadline is checked only while nothing comes, so it ends no stream of empty
            // lines.
            if skipped > MAX_EMPTY_LINES {
                return Err(RequestHeadError::Malformed);
            }
            // A lone CR may be the first half of an empty line.
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

    /// Collects one request head of at most `max_bytes` bytes, the first of which has come, and
    /// releases it to the engine. The deadline that is armed holds for the whole head.
    ///
    /// # Errors
    ///
    /// Returns [`RequestHeadError::TooSlow`] when the deadline passes, [`RequestHeadError::Gone`]
    /// when the connection ends, and [`RequestHeadError::TooLarge`] or
    /// [`RequestHeadError::Malformed`] for a head that is not released.
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

    /// Removes the empty lines at the beginning of the buffer, and returns their number.
    fn skip_empty_lines(&mut self) -> usize {
        let (mut rest, mut lines) = (self.buffered.as_slice(), 0);
        while let [b'\n', after @ ..] | [b'\r', b'\n', after @ ..] = rest {
            (rest, lines) = (after, lines + 1);
        }
        let skipped_bytes = self.buffered.len() - rest.len();
        self.buffered.drain(..skipped_bytes);
        lines
    }

    /// Takes the stream back from the engine after a response; it releases nothing until the next
    /// head is complete. `None` when pingora's stream is not a [`ClientStream`].
    pub fn reclaim(stream: pingora::protocols::Stream) -> Option<Box<Self>> {
        let mut reclaimed = stream.into_any().downcast::<Self>().ok()?;
        reclaimed.release = Release::Held;
        Some(reclaimed)
    }

    /// Reads more bytes into the buffer. The end of the stream is an error here.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut chunk = [std::mem::MaybeUninit::uninit(); HEAD_READ_SIZE];
        let mut buf = ReadBuf::uninit(&mut chunk);
        ready!(self.poll_read_transport(cx, &mut buf))?;
        if buf.filled().is_empty() {
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        self.buffered.extend_from_slice(buf.filled());
        Poll::Ready(Ok(()))
    }

    /// Reads from the transport. Before it waits for the client, it writes what was collected: the
    /// client may be waiting for that.
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
            // A second read makes the socket send: it flushes its own buffer when a read finds
            // nothing.
            Poll::Ready(Ok(true)) => self.transport.poll_read(cx, buf),
            Poll::Ready(Ok(false)) | Poll::Pending => Poll::Pending,
        }
    }

    /// Writes the collected bytes to the transport; true when there were any.
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

    /// Waits until the client has closed the connection.
    ///
    /// While a request without a body is answered, the engine reads only to learn that the client
    /// has left. Bytes of the next request are buffered for later without telling the engine; after
    /// them, neither is it told that the client has closed its side.
    fn poll_client_gone(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.buffered.len() < MAX_READ_AHEAD {
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
        if self.unwritten.is_empty() && buf.len() >= WRITE_BUFFER_SIZE {
            return self.transport.poll_write(cx, buf);
        }
        if self.unwritten.len() >= WRITE_BUFFER_SIZE {
            ready!(self.poll_write_out(cx))?;
        }
        let n = buf.len().min(WRITE_BUFFER_SIZE - self.unwritten.len());
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
        // An error means that the client has left already.
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

// pingora would use these for its log and its pools. The guard takes the client's address from
// [`super::Peer`] instead.
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
