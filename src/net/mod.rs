//! Sockets: listeners, the accept loop, and what stands between a socket and pingora's HTTP
//! engine (deadlines, byte caps, buffers).
//!
//! The path of a connection: [`listener`] accepts, [`io`] wraps the socket, [`handshake`] looks at
//! the first byte and does TLS, [`gate`] releases one request head at a time, [`connection`] feeds
//! them to an HTTP application until either side has had enough.

mod address;
pub mod admission;
pub mod connection;
mod deadline;
pub mod gate;
pub mod handshake;
pub mod head;
mod io;
pub mod listener;
pub mod proxy_protocol;
pub mod socket_file;
pub mod transport;

pub use address::ListenAddress;
pub use connection::{Peer, Shown, request_begins};
pub use io::SocketIo;
pub use listener::{Bound, Listener};
pub use socket_file::SocketFile;
