//! Who may pass: reads the credentials out of header bytes, decides, and hands out a [`Permit`].
//!
//! Owns the cache of passwords that were right, the table of addresses that were wrong, and the
//! threads that run bcrypt. Knows nothing of HTTP sessions beyond the bytes of one header.

mod basic;
mod bcrypt_hash;
mod bearer;
mod caller;
mod credential_cache;
mod known_sources;
mod login_throttle;
mod policy;
mod rate_limiter;
mod users;
mod verifier;

use std::collections::HashSet;
use std::time::Duration;

pub use basic::Credentials;
pub use bcrypt_hash::{BCRYPT_READS, DEFAULT_BCRYPT_COST};
pub use bearer::Tokens;
pub use caller::{Caller, Identity, Presented, authenticate};
pub use policy::{Policy, explain};
pub use rate_limiter::RateLimiter;
pub use users::Users;
pub use verifier::Verifier;

use crate::config::ClientNetwork;

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    pub source: ClientNetwork,
    /// How many wrong passwords that address may send without having to wait.
    pub max_failures: u32,
}

/// Identifies user, hash and password; keyed, so that it tells nothing outside this process.
type Digest = [u8; 32];

/// Evidence that a request was authorized. Only this module makes one, and the step that picks an
/// upstream takes one: a forgotten check does not compile into a proxied request.
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// Why a request was not authorized. Never holds what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No `Authorization` header.
    NoCredentials,
    /// Not one well-formed `Basic` header (RFC 7617).
    Malformed,
    /// Unknown user or wrong password: the client is not told which, and neither is the log.
    WrongCredentials,
    /// Too many passwords are waiting to be checked.
    Busy,
    /// Too many wrong passwords came from this address; with the time until it may try again.
    TooManyFailures(Duration),
    /// The connection has not shown the client certificate that is demanded: it is older than the
    /// demand, or asked for a public path before.
    NoCertificate,
    /// The client certificate of the connection, or one that verified it, has ended, or the
    /// configuration in force does not admit it any more.
    CertificateWithdrawn,
    /// Known, but not to this route.
    NotPermitted,
}

impl Refusal {
    /// The reason as the log and the metrics name it.
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

    /// Returns whether a path is declared public. Compares the bytes that the exporter will see,
    /// without decoding or normalising them.
    pub fn find(&self, path: &[u8]) -> Option<PublicPath> {
        self.0.contains(path).then_some(PublicPath(()))
    }
}
