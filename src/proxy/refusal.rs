//! The one table from a refusal to what the client sees.

use std::time::Duration;

use crate::{auth, routing};

/// The shortest; each answer takes up to 255 ms longer. Sixty-four clients that ask again at once then
/// make 250 requests a second, which costs nothing, and these do not fall on the same moment.
const GUESSER_DELAY: Duration = Duration::from_millis(128);

/// Why a request goes no further.
#[derive(Debug)]
pub enum Refusal {
    /// With the time until there is room again.
    RateLimited(Duration),
    Auth(auth::Refusal),
    /// No valid Host header (RFC 9112 section 3.2).
    BadHost,
    /// With routes: a path that two programs may read in two ways.
    AmbiguousPath,
    /// With routes: a request that is none of theirs, from somebody who may use some.
    Route(routing::Refusal),
}

impl Refusal {
    /// A full bcrypt queue is the guard's overload, not the client's mistake: 429, so that a
    /// Prometheus in its midst does not report wrong credentials. A guesser who has to wait gets it,
    /// too: its password was not looked at.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::RateLimited(_)
            | Refusal::Auth(auth::Refusal::Busy | auth::Refusal::TooManyFailures(_)) => 429,
            // RFC 9110 section 15.5.20: another connection may do.
            Refusal::Auth(auth::Refusal::NoCertificate | auth::Refusal::CertificateWithdrawn) => {
                421
            }
            Refusal::Auth(auth::Refusal::NotPermitted)
            | Refusal::Route(routing::Refusal::Target) => 403,
            Refusal::Auth(_) => 401,
            Refusal::BadHost | Refusal::AmbiguousPath => 400,
            Refusal::Route(routing::Refusal::Path) => 404,
            Refusal::Route(routing::Refusal::Method(_)) => 405,
        }
    }

    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::RateLimited(_) => "rate limit",
            Refusal::Auth(denial) => denial.reason(),
            Refusal::BadHost => "no valid Host header",
            Refusal::AmbiguousPath => "ambiguous path",
            Refusal::Route(routing::Refusal::Path) => "no such path",
            Refusal::Route(routing::Refusal::Method(_)) => "method not allowed",
            Refusal::Route(routing::Refusal::Target) => "target not allowed",
        }
    }

    /// What is allowed instead.
    pub fn allow(&self) -> Option<&str> {
        match self {
            Refusal::Route(routing::Refusal::Method(methods)) => Some(methods),
            _ => None,
        }
    }

    /// Returns whether the connection is closed: no other request on it could be answered.
    pub fn closes_connection(&self) -> bool {
        self.status() == 421
    }

    /// As the exporter-toolkit words it.
    pub fn body(&self) -> &'static str {
        match self {
            Refusal::BadHost => "Bad Request: missing or malformed Host header",
            Refusal::AmbiguousPath => "Bad Request: a path with more than one reading",
            Refusal::Route(routing::Refusal::Path) => "Not Found",
            Refusal::Route(routing::Refusal::Method(_)) => "Method Not Allowed",
            Refusal::Route(routing::Refusal::Target) => "Forbidden: not an allowed target",
            Refusal::RateLimited(_)
            | Refusal::Auth(auth::Refusal::Busy | auth::Refusal::TooManyFailures(_)) => {
                "Too Many Requests"
            }
            Refusal::Auth(auth::Refusal::NoCertificate | auth::Refusal::CertificateWithdrawn) => {
                "Misdirected Request: open a new connection, with a client certificate"
            }
            Refusal::Auth(auth::Refusal::NotPermitted) => "Forbidden",
            Refusal::Auth(_) => "Unauthorized",
        }
    }

    /// How long the answer takes: one who is refused for guessing must not be able to ask again as
    /// fast as the machine can refuse.
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Refusal::Auth(auth::Refusal::Busy | auth::Refusal::TooManyFailures(_)) => {
                let mut longer = [0; 1];
                // Without randomness all wait the same, as good a delay.
                let _ = openssl::rand::rand_bytes(&mut longer);
                Some(GUESSER_DELAY + Duration::from_millis(longer[0].into()))
            }
            _ => None,
        }
    }

    /// Whole seconds for `Retry-After` (RFC 9110 section 10.2.3).
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::RateLimited(wait) | Refusal::Auth(auth::Refusal::TooManyFailures(wait)) => {
                Some(wait.as_secs().saturating_add(1))
            }
            Refusal::Auth(auth::Refusal::Busy) => Some(1),
            _ => None,
        }
    }
}
