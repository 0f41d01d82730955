//! The one table from a refusal to the answer that the client gets.

use std::time::Duration;

use crate::connection::budget;
use crate::{auth, routing};

/// The shortest delay of an answer to a client that guesses passwords; each takes up to 255 ms
/// longer. Sixty-four clients that retry at once then send 250 requests a second, which is a
/// negligible load, and do not send them all at the same time.
const MIN_REFUSAL_DELAY: Duration = Duration::from_millis(128);

/// The reason why a request is answered by the guard instead of forwarded.
#[derive(Debug)]
pub enum Refusal {
    /// The rate limit is reached; with the time until a request can pass again.
    RateLimited(Duration),
    /// The caller is not authenticated or not authorized.
    Auth(auth::Refusal),
    /// The request has no valid `Host` field or `:authority` (RFC 9112 section 3.2, RFC 9113 section
    /// 8.3.1).
    BadHost,
    /// The request is malformed (RFC 9113 section 8.1.1).
    Malformed(Malformed),
    /// The route depends on the path, which two programs may read in two ways.
    AmbiguousPath,
    /// The answer could take more memory than the client's share of the budget has left.
    NoMemory,
    /// The caller may use a route, but no route lets this request through.
    Route(routing::Refusal),
    /// The exporter of the route has as many requests in flight as it may have, or the caller its share
    /// of them (`max_in_flight`).
    TooManyInFlight,
}

/// The part of an HTTP/2 request that is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    /// `:path` or `:scheme` (RFC 9113 section 8.3.1, RFC 3986).
    Target,
    /// `Content-Length` (RFC 9110 section 8.6).
    ContentLength,
    /// The name of a field (RFC 9113 section 8.2.1).
    FieldName,
    /// The value of a field (RFC 9113 section 8.2.1).
    FieldValue,
}

impl Refusal {
    /// Returns the status.
    ///
    /// A full bcrypt queue is an overload of the guard, not a mistake of the client: it is a 429,
    /// so that a Prometheus among the clients does not report wrong credentials. A throttled client
    /// gets 429, too, since its password was not checked.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::RateLimited(_)
            | Refusal::Auth(auth::Refusal::Busy | auth::Refusal::TooManyFailures(_)) => 429,
            // RFC 9110 section 15.5.20: the client may retry on another connection.
            Refusal::Auth(auth::Refusal::NoCertificate | auth::Refusal::CertificateWithdrawn) => {
                421
            }
            Refusal::Auth(auth::Refusal::NotPermitted)
            | Refusal::Route(routing::Refusal::Target) => 403,
            Refusal::Auth(_) => 401,
            Refusal::BadHost | Refusal::Malformed(_) | Refusal::AmbiguousPath => 400,
            Refusal::Route(routing::Refusal::Path) => 404,
            Refusal::Route(routing::Refusal::Method(_)) => 405,
            Refusal::NoMemory | Refusal::TooManyInFlight => 503,
        }
    }

    /// Returns the reason as the log and the metrics name it.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::RateLimited(_) => "rate limit",
            Refusal::Auth(refusal) => refusal.reason(),
            Refusal::BadHost => "no valid Host header",
            Refusal::Malformed(Malformed::Target) => "malformed request target",
            Refusal::Malformed(Malformed::ContentLength) => "malformed Content-Length",
            Refusal::Malformed(Malformed::FieldName) => "malformed field name",
            Refusal::Malformed(Malformed::FieldValue) => "blank around a field value",
            Refusal::AmbiguousPath => "ambiguous path",
            Refusal::NoMemory => budget::REASON,
            Refusal::Route(routing::Refusal::Path) => "no such path",
            Refusal::Route(routing::Refusal::Method(_)) => "method not allowed",
            Refusal::Route(routing::Refusal::Target) => "target not allowed",
            Refusal::TooManyInFlight => "too many requests in flight",
        }
    }

    /// Returns the methods that the route allows, for `Allow` (RFC 9110 section 10.2.1).
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

    /// Returns the line of the body, in the words of the exporter-toolkit where it has the same refusal.
    pub fn body(&self) -> &'static str {
        match self {
            Refusal::BadHost => "Bad Request: missing or malformed Host header",
            Refusal::Malformed(Malformed::Target) => "Bad Request: malformed request target",
            Refusal::Malformed(Malformed::ContentLength) => {
                "Bad Request: repeated or malformed Content-Length"
            }
            Refusal::Malformed(Malformed::FieldName) => "Bad Request: malformed field name",
            Refusal::Malformed(Malformed::FieldValue) => {
                "Bad Request: a field value that begins or ends with a blank"
            }
            Refusal::AmbiguousPath => "Bad Request: a path with more than one reading",
            Refusal::NoMemory => "Service Unavailable: read the answers that are open",
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
            Refusal::TooManyInFlight => "Service Unavailable: too many requests in flight",
            Refusal::Auth(_) => "Unauthorized",
        }
    }

    /// Returns the delay of the answer. A client that is refused for guessing passwords must not be
    /// able to retry as fast as the guard can refuse.
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Refusal::Auth(auth::Refusal::Busy | auth::Refusal::TooManyFailures(_)) => {
                let mut jitter = [0; 1];
                // Without randomness all answers have the shortest delay, which suffices.
                let _ = openssl::rand::rand_bytes(&mut jitter);
                Some(MIN_REFUSAL_DELAY + Duration::from_millis(jitter[0].into()))
            }
            _ => None,
        }
    }

    /// Returns the whole seconds for `Retry-After` (RFC 9110 section 10.2.3), never less than the
    /// wait.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Refusal::RateLimited(wait) | Refusal::Auth(auth::Refusal::TooManyFailures(wait)) => {
                Some(wait.as_secs().saturating_add(1))
            }
            Refusal::Auth(auth::Refusal::Busy) | Refusal::NoMemory | Refusal::TooManyInFlight => {
                Some(1)
            }
            _ => None,
        }
    }
}
