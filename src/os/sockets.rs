//! Questions about sockets that the standard library does not ask.

use std::os::fd::RawFd;

/// Returns the number of bytes that the peer of a socket has not acknowledged (SIOCOUTQ in tcp(7)); 0
/// for a descriptor that is closed or no socket.
pub fn unacknowledged(socket: RawFd) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: writes one integer, which outlives the call; a descriptor that is no socket is an error.
    let done = unsafe { libc::ioctl(socket, libc::TIOCOUTQ, &raw mut bytes) };
    if done == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}
