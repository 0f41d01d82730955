//! TLS of one snapshot: key material, the acceptor, and the names in client certificates.
//!
//! Every reload makes a new [`Acceptor`]: fresh ticket keys, so that a session from before cannot
//! resume under rules that have changed since.

mod acceptor;
mod client;
pub mod material;

pub use acceptor::{Acceptor, AcceptorError};
pub use client::ClientNames;
