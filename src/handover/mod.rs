//! The handover: replaces a running guard by a new one (`--upgrade`), while the listening sockets
//! stay open.
//!
//! The running guard listens on a unix socket of its own (`--upgrade.socket`, mode 0600). Its
//! successor connects to that socket, and receives a descriptor of every listening socket,
//! including that one. Once it serves, it says so; then the running guard finishes its requests and
//! exits. If it never says so, the running guard goes on serving. Each side checks the user of the
//! other.

mod message;
mod offer;
mod predecessor;

use std::io;
use std::os::fd::BorrowedFd;

pub use offer::Offer;
pub use predecessor::Predecessor;

/// Both handovers of one guard: to its successor, and from its predecessor.
pub struct Handover {
    /// The offer to a successor.
    pub offer: Offer,
    /// The predecessor, if there was one (`--upgrade`).
    pub predecessor: Option<Predecessor>,
}

/// The purpose of a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A socket of `--web.listen-address`.
    Web,
    /// A socket of `--telemetry.listen-address`.
    Telemetry,
    /// The socket of `--upgrade.socket`, for the next successor.
    Handover,
}

impl Role {
    const ALL: [Self; 3] = [Self::Web, Self::Telemetry, Self::Handover];

    fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Telemetry => "telemetry",
            Self::Handover => "upgrade",
        }
    }
}

/// Checks that the other side runs as the same user or as root, and returns its process id.
fn check_peer(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    let own = rustix::process::geteuid();
    if peer.uid == own || peer.uid.is_root() {
        return Ok(peer.pid.as_raw_nonzero().get().unsigned_abs());
    }
    let error = format!("the other side runs as user {}", peer.uid.as_raw());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, error))
}
