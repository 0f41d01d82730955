//! Unix sockets that listen in the file system.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::listener::BACKLOG;

/// A socket file that goes away with whoever listens on it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    is_ours: bool,
}

impl SocketFile {
    /// Of somebody else, for now.
    pub fn of_another(path: PathBuf) -> Self {
        Self { path, is_ours: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From now on it goes away with this process.
    pub fn own(&mut self) {
        self.is_ours = true;
    }

    /// Somebody else listens on it.
    pub fn give_away(&mut self) {
        self.is_ours = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_ours {
            // Gone already is as good.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketMode {
    /// Whoever the umask lets.
    Umask,
    /// The owner (0600), from the moment the file is there.
    OwnerOnly,
}

/// A file that nobody answers on is left over from a crash and is replaced.
pub fn bind(path: &Path, access: SocketMode) -> io::Result<(UnixListener, SocketFile)> {
    if let Ok(metadata) = std::fs::symlink_metadata(path)
        && metadata.file_type().is_socket()
        && UnixStream::connect(path).is_err()
    {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if access == SocketMode::OwnerOnly {
        // Linux gives the file the mode of the socket, less the umask.
        fchmod(socket.as_fd(), Mode::RUSR | Mode::WUSR)?;
    }
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), is_ours: true };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((std::os::fd::OwnedFd::from(socket).into(), file))
}
