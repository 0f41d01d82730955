//! One client connection, from the listening socket to the HTTP application that answers it.
//!
//! The path of a connection: [`listener`] binds and accepts, [`accept`] counts it against the
//! limits, [`proxy_header`] reads which client a load balancer speaks for, [`handshake`] looks at
//! the first byte and does TLS on the threads of [`handshake_pool`], [`client_stream`] releases one
//! request head at a time, and [`serve`] gives them to an HTTP application until either side closes
//! the connection.

pub mod accept;
pub mod client_stream;
mod deadline;
pub mod handshake;
pub mod handshake_pool;
mod http1;
mod http2;
mod io;
pub mod limits;
pub mod listener;
mod peer;
pub mod proxy_header;
pub mod request_head;
pub mod serve;
pub mod socket_file;
pub mod transport;

pub use handshake_pool::HandshakePool;
pub use io::SocketIo;
pub use listener::{Bound, Listener};
pub use peer::{Peer, TlsPeerInfo, current_peer};
pub use socket_file::SocketFile;
