//! The files of listening unix sockets.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, fchmod};
use socket2::{Domain, SockAddr, Socket, Type};

use super::listener::BACKLOG;

/// The file of a unix socket. It is removed on drop if this process owns it.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    is_owned: bool,
}

impl SocketFile {
    /// Describes a file that another process owns.
    pub fn of_another(path: PathBuf) -> Self {
        Self { path, is_owned: false }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes this process the owner of the file.
    pub fn own(&mut self) {
        self.is_owned = true;
    }

    /// Gives the file to another process that listens on the socket.
    pub fn give_away(&mut self) {
        self.is_owned = false;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.is_owned {
            // A file that is gone already needs no removal.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The permissions of a new socket file, which decide who may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketMode {
    /// The permissions that the umask leaves.
    Umask,
    /// Access for the owner alone (0600), from the moment the file exists.
    OwnerOnly,
}

/// Binds a unix socket and listens on it. A socket file that accepts no connection is left over
/// from a crash and is replaced.
///
/// # Errors
///
/// Returns the error of the operating system, among others when another process listens at `path`.
pub fn bind(path: &Path, mode: SocketMode) -> io::Result<(UnixListener, SocketFile)> {
    if let Ok(metadata) = std::fs::symlink_metadata(path)
        && metadata.file_type().is_socket()
        && UnixStream::connect(path).is_err()
    {
        std::fs::remove_file(path)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if mode == SocketMode::OwnerOnly {
        // Linux creates the file with the mode of the socket, less the umask.
        fchmod(socket.as_fd(), Mode::RUSR | Mode::WUSR)?;
    }
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.to_owned(), is_owned: true };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((std::os::fd::OwnedFd::from(socket).into(), file))
}
