//! The side of the successor, which takes the sockets of the running guard.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Offer, Role, check_peer, message};
use crate::config::ListenAddress;
use crate::connection::{Bound, SocketFile};

/// The time that the sockets may take to arrive.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The guard that is replaced, which serves until [`Self::release`].
pub struct Predecessor {
    stream: UnixStream,
    sockets: Vec<(Role, Bound)>,
    offer: Option<OwnedFd>,
}

impl Predecessor {
    /// Receives the sockets of the guard that listens at `path`, which goes on serving.
    ///
    /// # Errors
    ///
    /// Returns an error when no guard listens there, when it runs as another user, or when it sends
    /// no sockets within 10 s.
    pub fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        check_peer(stream.as_fd())?;
        stream.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
        let mut predecessor = Self { stream, sockets: Vec::new(), offer: None };
        for (label, socket) in message::receive(&predecessor.stream)? {
            match Role::ALL.into_iter().find(|role| role.name() == label.role) {
                Some(Role::Handover) => predecessor.offer = Some(socket),
                Some(role) => {
                    predecessor.sockets.push((role, Bound::from_another(socket, label.name)?));
                }
                // A role of a newer version.
                None => {}
            }
        }
        Ok(predecessor)
    }

    /// Takes the sockets that the predecessor listens on for this role and address, as given on the
    /// command line. It goes on listening on them, too.
    pub fn take_sockets(&mut self, role: Role, address: &ListenAddress) -> Vec<Bound> {
        let name = address.to_string();
        self.sockets
            .extract_if(.., |(its_role, bound)| *its_role == role && bound.name == name)
            .map(|(_, bound)| bound)
            .collect()
    }

    /// Listens for the next successor on the same handover socket.
    ///
    /// # Errors
    ///
    /// Returns [`io::ErrorKind::InvalidData`] when the predecessor has not sent that socket.
    pub fn take_offer(&mut self, path: &Path) -> io::Result<Offer> {
        let socket = self.offer.take().ok_or(io::ErrorKind::InvalidData)?;
        Offer::inherited(socket.into(), path)
    }

    /// Tells the predecessor that this guard serves, so that it finishes its requests and exits.
    ///
    /// The socket files become this guard's own: `files` are removed at its end, and those of
    /// sockets that it has not taken are removed now.
    ///
    /// # Errors
    ///
    /// Returns the error of writing to the predecessor.
    pub fn release(self, files: &mut [SocketFile]) -> io::Result<()> {
        message::send_ready(&self.stream)?;
        files.iter_mut().for_each(SocketFile::own);
        for (_, mut unused) in self.sockets {
            if let Some(mut file) = unused.take_file() {
                file.own();
            }
        }
        Ok(())
    }
}
