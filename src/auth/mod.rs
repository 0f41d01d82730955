//! Authentication and authorization: reads credentials from header bytes, checks them, and hands
//! out a [`Permit`].
//!
//! Owns the cache of passwords that were right, the login throttle, and the threads that run
//! bcrypt. Knows nothing of HTTP sessions beyond the bytes of one header.

mod basic;
mod bcrypt_hash;
mod bearer;
mod caller;
mod credential_cache;
mod known_networks;
mod known_sources;
mod login_throttle;
mod policy;
mod rate_limiter;
mod share;
mod users;
mod verifier;

use std::collections::HashSet;
use std::time::Duration;

pub use basic::Credentials;
pub use bcrypt_hash::{BCRYPT_READS, DEFAULT_BCRYPT_COST};
pub use bearer::Tokens;
pub use caller::{Caller, Identity, Presented, Requester, authenticate};
pub use known_networks::KnownNetworks;
pub use policy::{Policy, explain};
pub use rate_limiter::RateLimiter;
pub use share::has_share;
pub use users::Users;
pub use verifier::Verifier;

use crate::config::ClientNetwork;

/// The client network that a request comes from, and its limit.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The client network.
    pub source: ClientNetwork,
    /// The number of wrong passwords that the network may send before it has to wait.
    pub max_failures: u32,
}

/// Identifies credentials: for a password, a keyed digest of user, hash and password, which reveals
/// nothing outside this process; for an attempt with a bearer token, the SHA-256 of the token.
type Digest = [u8; 32];

/// Evidence that a request was authorized. Only this module makes one, and the step that picks an
/// upstream requires one, so a forgotten check does not compile into a proxied request.
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// The reason why a request was not authorized. It never holds what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request has no `Authorization` header.
    NoCredentials,
    /// The request has several `Authorization` headers, or one that is not well-formed (RFC 7617).
    Malformed,
    /// The user or token is unknown, or the password is wrong. Neither the client nor the log is
    /// told which.
    WrongCredentials,
    /// Too many passwords are waiting to be checked.
    Busy,
    /// Too many wrong credentials came from this client network; with the time until it may try
    /// again.
    TooManyFailures(Duration),
    /// The connection has not shown the client certificate that is required: it was opened before
    /// the configuration required one, or its handshake did not, since the listener has public
    /// paths.
    NoCertificate,
    /// The client certificate of the connection, or one that verified it, has ended, or the
    /// configuration in force does not admit it any more.
    CertificateWithdrawn,
    /// The caller is known, but not permitted on this route.
    NotPermitted,
    /// The client is not permitted on this route, and has shown nothing by which it may know that the
    /// route exists.
    Unidentified,
}

impl Refusal {
    /// Returns the reason as the log and the metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            Refusal::NoCredentials => "no credentials",
            Refusal::Malformed => "malformed credentials",
            Refusal::WrongCredentials => "wrong credentials",
            Refusal::Busy => "too many logins in progress",
            Refusal::TooManyFailures(_) => "too many wrong credentials",
            Refusal::NoCertificate => "connection without the client certificate that is demanded",
            Refusal::CertificateWithdrawn => "client certificate ended or not admitted any more",
            Refusal::NotPermitted => "not permitted on this route",
            Refusal::Unidentified => "not permitted on this route, without credentials",
        }
    }
}

/// Permits a request for a path that the configuration declares public (`public_paths`).
pub fn public(declared: PublicPath) -> Permit {
    let PublicPath(()) = declared;
    Permit(())
}

/// Evidence that a path is declared public; made by [`PublicPaths::find`] alone.
#[derive(Debug)]
pub struct PublicPath(());

/// The exact paths that are answered without credentials; none by default.
#[derive(Debug, Default)]
pub struct PublicPaths(HashSet<Vec<u8>>);

impl PublicPaths {
    /// Takes the paths as the configuration has them.
    pub fn new(paths: &[String]) -> Self {
        Self(paths.iter().map(|path| path.clone().into_bytes()).collect())
    }

    /// Returns evidence that a path is declared public; `None` if it is not. Compares the bytes
    /// that the exporter will see, without decoding or normalising them.
    pub fn find(&self, path: &[u8]) -> Option<PublicPath> {
        self.0.contains(path).then_some(PublicPath(()))
    }
}
