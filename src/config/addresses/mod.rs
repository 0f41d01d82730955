//! Addresses: those to listen on, those of exporters, and the networks of clients.

mod client_network;
mod listen;
mod upstream;

pub use client_network::ClientNetwork;
pub use listen::{ListenAddress, ListenAddressError};
pub use upstream::{Upstream, UpstreamError};
