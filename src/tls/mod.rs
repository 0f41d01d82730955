//! The TLS of one snapshot: key material, the acceptor, and the names in client certificates.
//!
//! Every reload makes a new [`Acceptor`] with new ticket keys, so that an earlier session cannot
//! resume under rules that have changed since.

mod acceptor;
mod client;
mod description;
mod expiry;
pub mod material;
mod presented;
mod revocation;
mod verification;

pub use acceptor::{Acceptor, AcceptorError};
pub use client::{ClientNames, ClientVerifier};
pub use expiry::Expiry;
pub use presented::PresentedCertificate;
pub use revocation::{RevocationCheck, RevocationList, RevocationLists};
