//! The socket of one connection. It has three things that pingora's own streams lack: an absolute
//! deadline for reads, a limit on the time that a client may refuse to read, and buffers that exist
//! only while they are in use.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Instant;

use super::deadline::{Deadline, DeadlineTimer};
use super::listener::AcceptedSocket;

/// Bytes that are collected before they are written without a flush: four full TLS records, which
/// take one system call instead of four.
const WRITE_BATCH: usize = 64 * 1024 + 4 * 64;

/// One accepted socket, which collects writes. They are sent at a flush, when a batch is full, and
/// when a read finds nothing and has to wait, so that a slow response is not held back.
#[derive(Debug)]
pub struct SocketIo {
    socket: AcceptedSocket,
    /// Bytes that were read before the handshake and are to be read once more.
    replay: Vec<u8>,
    /// The batch of collected bytes, the first `written` of which are sent.
    batch: Vec<u8>,
    written: usize,
    /// The deadline for reads.
    pub deadline: Arc<Deadline>,
    /// Set once the client has sent anything.
    pub begun: Arc<AtomicBool>,
    /// Set while the client has to take bytes before more can be written.
    pub backlog: Arc<AtomicBool>,
    read_timer: DeadlineTimer,
    /// The time that each batch may take from the first write that blocks.
    write_timeout: Duration,
    write_timer: DeadlineTimer,
    /// The time when a write of this batch first blocked.
    blocked_since: Option<Instant>,
}

impl SocketIo {
    /// Wraps an accepted socket. The client may take `write_timeout` for each batch of writes.
    pub fn new(socket: AcceptedSocket, write_timeout: Duration) -> Self {
        Self {
            socket,
            replay: Vec::new(),
            batch: Vec::new(),
            written: 0,
            deadline: Arc::new(Deadline::new()),
            begun: Arc::default(),
            backlog: Arc::default(),
            read_timer: DeadlineTimer::default(),
            write_timeout,
            write_timer: DeadlineTimer::default(),
            blocked_since: None,
        }
    }

    /// Puts bytes back that were read too early; the next reads return them.
    pub fn unread(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.replay.is_empty());
        self.replay = bytes;
    }

    fn poll_read_socket(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.socket {
            AcceptedSocket::Tcp(socket) => Pin::<&mut TcpStream>::new(socket).poll_read(cx, buf),
            AcceptedSocket::Unix(socket) => Pin::<&mut UnixStream>::new(socket).poll_read(cx, buf),
        }
    }

    fn poll_write_socket(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let pending = &self.batch[self.written..];
        match &mut self.socket {
            AcceptedSocket::Tcp(socket) => {
                Pin::<&mut TcpStream>::new(socket).poll_write(cx, pending)
            }
            AcceptedSocket::Unix(socket) => {
                Pin::<&mut UnixStream>::new(socket).poll_write(cx, pending)
            }
        }
    }

    /// Sends the collected bytes and frees the buffer, so that an idle connection holds none.
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.batch.len() {
            match self.poll_write_socket(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.written += n,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.backlog.store(true, Ordering::Relaxed);
                    ready!(self.poll_too_slow(cx));
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
            }
        }
        self.batch = Vec::new();
        self.written = 0;
        if self.blocked_since.take().is_some() {
            self.backlog.store(false, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }

    /// Returns ready when the batch has taken too long. The bytes that a client takes do not extend
    /// the time: one that takes a byte now and then is no better than one that takes none.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.blocked_since.get_or_insert_with(Instant::now);
        self.write_timer.poll_at(since + self.write_timeout, cx)
    }
}

impl AsRawFd for SocketIo {
    fn as_raw_fd(&self) -> RawFd {
        match &self.socket {
            AcceptedSocket::Tcp(socket) => socket.as_raw_fd(),
            AcceptedSocket::Unix(socket) => socket.as_raw_fd(),
        }
    }
}

impl AsyncRead for SocketIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.replay.is_empty() {
            this.begun.store(true, Ordering::Relaxed);
            let n = this.replay.len().min(buf.remaining());
            buf.put_slice(&this.replay[..n]);
            this.replay.drain(..n);
            if this.replay.is_empty() {
                this.replay = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        match this.poll_read_socket(cx, buf) {
            Poll::Ready(result) => {
                this.begun.store(true, Ordering::Relaxed);
                Poll::Ready(result)
            }
            Poll::Pending => {
                if !this.batch.is_empty()
                    && let Poll::Ready(Err(error)) = this.poll_write_out(cx)
                {
                    return Poll::Ready(Err(error));
                }
                ready!(this.read_timer.poll_expired(&this.deadline, cx));
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for SocketIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.batch.len() >= WRITE_BATCH {
            ready!(self.poll_write_out(cx))?;
        }
        self.batch.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_out(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_out(cx))?;
        match &mut self.socket {
            AcceptedSocket::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            AcceptedSocket::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
