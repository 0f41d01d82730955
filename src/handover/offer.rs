//! The side of the running guard, which offers its sockets to a successor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use super::message::SocketLabel;
use super::{Role, check_peer, message};
use crate::connection::socket_file::SocketMode;
use crate::connection::{Bound, SocketFile, socket_file};

/// The time that a successor may take from its connection until it serves, which includes loading
/// certificates and 1,000 users.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The offer of the listening sockets to a successor.
pub struct Offer {
    listener: UnixListener,
    file: Option<SocketFile>,
    sockets: Vec<(SocketLabel, OwnedFd)>,
}

impl Offer {
    /// Listens for a successor on a new socket, with mode 0600.
    ///
    /// # Errors
    ///
    /// Returns the error of binding the socket.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let (listener, file) = socket_file::bind(path, SocketMode::OwnerOnly)?;
        Ok(Self { listener, file: Some(file), sockets: Vec::new() })
    }

    /// Listens for a successor on the socket of the predecessor.
    ///
    /// # Errors
    ///
    /// Returns the error of fcntl(2).
    pub(super) fn inherited(listener: UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let file = Some(SocketFile::of_another(path.to_owned()));
        Ok(Self { listener, file, sockets: Vec::new() })
    }

    /// Adds a socket to those that a successor gets.
    ///
    /// # Errors
    ///
    /// Returns the error of duplicating the descriptor.
    pub fn add(&mut self, role: Role, bound: &Bound) -> io::Result<()> {
        self.sockets.push((SocketLabel::new(role, &bound.name), bound.duplicate()?));
        Ok(())
    }

    /// Returns the file of the socket; `None` the second time.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// Waits until a successor serves; logs those that fail.
    ///
    /// # Errors
    ///
    /// Returns an error when connections cannot be accepted.
    pub async fn wait_for_successor(&self) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            match self.hand_over(stream.into_std()?).await {
                Ok(successor) => {
                    tracing::info!(successor, "A successor has taken over");
                    return Ok(());
                }
                Err(error) => {
                    tracing::warn!(err = %error, "Failed to hand over to a successor, serving on");
                }
            }
        }
    }

    /// Sends the sockets, and returns the process id of the successor once it serves.
    async fn hand_over(&self, stream: UnixStream) -> io::Result<u32> {
        let successor = check_peer(stream.as_fd())?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(READY_TIMEOUT))?;
        stream.set_read_timeout(Some(READY_TIMEOUT))?;
        tracing::info!(successor, "Handing the listening sockets over");
        let own = (SocketLabel::new(Role::Handover, ""), self.listener.as_fd());
        let others = self.sockets.iter().map(|(label, socket)| (label.clone(), socket.as_fd()));
        let (labels, sockets): (Vec<_>, Vec<_>) = others.chain([own]).unzip();
        message::send(&stream, &labels, &sockets)?;
        let ready = tokio::task::spawn_blocking(move || message::receive_ready(&stream));
        ready.await.map_err(io::Error::other)??;
        Ok(successor)
    }
}
