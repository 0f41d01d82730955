//! Addresses: where to listen, where an exporter is, and which clients count as one.

mod client_network;
mod listen;
mod upstream;

pub use client_network::ClientNetwork;
pub use listen::ListenAddress;
pub use upstream::Upstream;
