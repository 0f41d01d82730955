//! The messages over the handover socket. The running guard sends the listening sockets with their
//! labels, once; its successor sends that it serves, once.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::Role;

/// The most descriptors in one message (SCM_MAX_FD of Linux, unix(7)).
pub const MAX_SOCKETS: usize = 253;

/// The most bytes of JSON: enough for [`MAX_SOCKETS`] labels, whatever the length of their paths.
const MAX_JSON_LEN: usize = 256 * 1024;

/// The message that the successor serves.
const READY: u8 = b'R';

/// The label of one descriptor; labels are sent in the order of the descriptors.
#[derive(Clone, Serialize, Deserialize)]
pub struct SocketLabel {
    /// The name of a [`Role`].
    pub role: String,
    /// The address as the command line gives it.
    pub name: String,
}

impl SocketLabel {
    /// Labels a socket.
    pub fn new(role: Role, name: &str) -> Self {
        Self { role: role.name().to_owned(), name: name.to_owned() }
    }
}

/// Sends the sockets with their labels.
///
/// # Errors
///
/// Returns an error when there are more than [`MAX_SOCKETS`], or the socket cannot be written to.
pub fn send(
    stream: &UnixStream,
    labels: &[SocketLabel],
    sockets: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let json = serde_json::to_vec(labels)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?.to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other(format!("more than {MAX_SOCKETS} listening sockets")));
    }
    // The descriptors are sent with the length, whose four bytes are sent as a whole or not at all.
    sendmsg(stream, &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL)?;
    (&mut &*stream).write_all(&json)
}

/// Receives the sockets with their labels.
///
/// # Errors
///
/// Returns [`io::ErrorKind::InvalidData`] for a malformed message, or the error of reading it.
pub fn receive(stream: &UnixStream) -> io::Result<Vec<(SocketLabel, OwnedFd)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_SOCKETS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut length)];
    let received = recvmsg(stream, parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let sockets: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        })
        .flatten()
        .collect();
    let json_len = u32::from_be_bytes(length) as usize;
    if received.bytes != length.len() || json_len > MAX_JSON_LEN {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; json_len];
    (&mut &*stream).read_exact(&mut json)?;
    let labels: Vec<SocketLabel> = serde_json::from_slice(&json)?;
    if labels.len() != sockets.len() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(labels.into_iter().zip(sockets).collect())
}

/// Tells the running guard that its successor serves.
///
/// # Errors
///
/// Returns the error of writing to the socket.
pub fn send_ready(stream: &UnixStream) -> io::Result<()> {
    (&mut &*stream).write_all(&[READY])
}

/// Waits until the successor serves.
///
/// # Errors
///
/// Returns [`io::ErrorKind::InvalidData`] for another message, or the error of reading it.
pub fn receive_ready(stream: &UnixStream) -> io::Result<()> {
    let mut byte = [0];
    (&mut &*stream).read_exact(&mut byte)?;
    if byte == [READY] { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
