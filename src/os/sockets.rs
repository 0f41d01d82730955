//! Properties of sockets that the standard library does not give access to.

use std::os::fd::RawFd;

/// Returns the number of bytes that the peer of a socket has not acknowledged (SIOCOUTQ in tcp(7));
/// 0 for a descriptor that is closed or not a socket.
pub fn unacknowledged(socket: RawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the call writes one integer, which outlives it; for a descriptor that is not a socket
    // it returns an error.
    let done = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}
