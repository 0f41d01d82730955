//! What goes over the socket: from the guard that runs, once, the sockets with what they are for;
//! from its successor, once, that it serves.

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

/// Descriptors in one message (SCM_MAX_FD of Linux).
pub const MOST_SOCKETS: usize = 253;

/// Of JSON; as many names as there may be sockets, of any path's length.
const MOST_BYTES: usize = 256 * 1024;

/// The successor serves.
const READY: u8 = b'R';

/// One for each descriptor, in their order.
#[derive(Clone, Serialize, Deserialize)]
pub struct SocketLabel {
    /// The name of a [`Role`].
    pub role: String,
    /// As the command line has it.
    pub name: String,
}

impl SocketLabel {
    pub fn new(role: Role, name: &str) -> Self {
        Self { role: role.name().to_owned(), name: name.to_owned() }
    }
}

pub fn send(
    stream: &UnixStream,
    labels: &[SocketLabel],
    sockets: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let json = serde_json::to_vec(labels)?;
    let length = u32::try_from(json.len()).map_err(io::Error::other)?.to_be_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other(format!("more than {MOST_SOCKETS} listening sockets")));
    }
    // The descriptors go with the length, which is sent whole or not at all.
    sendmsg(stream, &[IoSlice::new(&length)], &mut ancillary, SendFlags::NOSIGNAL)?;
    (&mut &*stream).write_all(&json)
}

pub fn receive(stream: &UnixStream) -> io::Result<Vec<(SocketLabel, OwnedFd)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_SOCKETS))];
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
    let bytes = u32::from_be_bytes(length) as usize;
    if received.bytes != length.len() || bytes > MOST_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; bytes];
    (&mut &*stream).read_exact(&mut json)?;
    let labels: Vec<SocketLabel> = serde_json::from_slice(&json)?;
    if labels.len() != sockets.len() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(labels.into_iter().zip(sockets).collect())
}

pub fn send_ready(stream: &UnixStream) -> io::Result<()> {
    (&mut &*stream).write_all(&[READY])
}

pub fn receive_ready(stream: &UnixStream) -> io::Result<()> {
    let mut byte = [0];
    (&mut &*stream).read_exact(&mut byte)?;
    if byte == [READY] { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}
