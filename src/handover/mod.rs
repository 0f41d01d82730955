//! Replacing a running guard by a new one (`--upgrade`) without a moment in which nobody listens.
//!
//! The guard that runs listens on a unix socket of its own (`--upgrade.socket`, 0600). Its
//! successor connects there and gets a descriptor of every listening socket, of that one too. When
//! it serves it says so, and the first guard finishes what it has begun and ends. If it never
//! says so, nothing has happened. Each side checks who the other is.

mod message;
mod offer;
mod predecessor;

use std::io;
use std::os::fd::BorrowedFd;

pub use offer::Offer;
pub use predecessor::Predecessor;

/// How a guard is replaced by its successor, and has replaced its predecessor.
pub struct Handover {
    pub offer: Offer,
    pub predecessor: Option<Predecessor>,
}

/// What a listening socket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Web,
    Telemetry,
    /// For the next successor.
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

/// The other side runs as the same user, or as root.
fn check_peer(socket: BorrowedFd<'_>) -> io::Result<u32> {
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    let own = rustix::process::geteuid();
    if peer.uid == own || peer.uid.is_root() {
        return Ok(peer.pid.as_raw_nonzero().get().unsigned_abs());
    }
    let error = format!("the other side runs as user {}", peer.uid.as_raw());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, error))
}
