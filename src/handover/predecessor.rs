//! The successor: it takes the sockets of the guard that runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Offer, Role, check_peer, message};
use crate::config::ListenAddress;
use crate::connection::{Bound, SocketFile};

/// For the sockets to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The guard that ran before, and still runs.
pub struct Predecessor {
    stream: UnixStream,
    sockets: Vec<(Role, Bound)>,
    offer: Option<OwnedFd>,
}

impl Predecessor {
    /// Get its sockets. It knows of nothing before [`Self::relieve`].
    pub fn ask(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        check_peer(stream.as_fd())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut predecessor = Self { stream, sockets: Vec::new(), offer: None };
        for (label, socket) in message::receive(&predecessor.stream)? {
            match Role::ALL.into_iter().find(|role| role.name() == label.role) {
                Some(Role::Handover) => predecessor.offer = Some(socket),
                Some(role) => {
                    predecessor.sockets.push((role, Bound::from_another(socket, label.name)?));
                }
                // Of a newer version.
                None => {}
            }
        }
        Ok(predecessor)
    }

    /// Its sockets of this address, which it goes on listening on, too.
    pub fn take(&mut self, role: Role, address: &ListenAddress) -> Vec<Bound> {
        let name = address.to_string();
        self.sockets
            .extract_if(.., |(its, bound)| *its == role && bound.name == name)
            .map(|(_, bound)| bound)
            .collect()
    }

    /// To be asked by the next successor on the same socket.
    pub fn offer(&mut self, path: &Path) -> io::Result<Offer> {
        let socket = self.offer.take().ok_or(io::ErrorKind::InvalidData)?;
        Offer::inherited(socket.into(), path)
    }

    /// This guard serves: the other one may go. Its files are this one's now; those of sockets that
    /// this one has no use for go away.
    pub fn relieve(self, files: &mut [SocketFile]) -> io::Result<()> {
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
