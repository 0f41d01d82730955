//! The guard that runs: it offers its sockets to a successor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use super::message::SocketLabel;
use super::{Role, check_peer, message};
use crate::connection::socket_file::SocketMode;
use crate::connection::{Bound, SocketFile, socket_file};

/// From its connection until it serves; reading certificates and taking up 1,000 users included.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Offer {
    listener: UnixListener,
    file: Option<SocketFile>,
    sockets: Vec<(SocketLabel, OwnedFd)>,
}

impl Offer {
    /// Listen on a new socket for whoever may come.
    pub fn bind(path: &Path) -> io::Result<Self> {
        let (listener, file) = socket_file::bind(path, SocketMode::OwnerOnly)?;
        Ok(Self { listener, file: Some(file), sockets: Vec::new() })
    }

    /// Listen on the socket of the predecessor.
    pub(super) fn inherited(listener: UnixListener, path: &Path) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let file = Some(SocketFile::of_another(path.to_owned()));
        Ok(Self { listener, file, sockets: Vec::new() })
    }

    /// What a successor will get.
    pub fn add(&mut self, role: Role, bound: &Bound) -> io::Result<()> {
        self.sockets.push((SocketLabel::new(role, &bound.name), bound.duplicate()?));
        Ok(())
    }

    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// Wait until a successor serves.
    pub async fn taken(&self) -> io::Result<()> {
        let listener = tokio::net::UnixListener::from_std(self.listener.try_clone()?)?;
        loop {
            let (stream, _) = listener.accept().await?;
            match self.hand_over(stream.into_std()?).await {
                Ok(successor) => {
                    tracing::info!(successor, "A successor has taken over");
                    return Ok(());
                }
                Err(error) => tracing::warn!(err = %error, "No successor: serving on"),
            }
        }
    }

    /// The process id of the one that serves now.
    async fn hand_over(&self, stream: UnixStream) -> io::Result<u32> {
        let successor = check_peer(stream.as_fd())?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
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
