//! `proxy.limits`: how long each phase may take, and how much one client may have.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::duration;
use crate::config::findings::Problems;
use crate::config::node::Node;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Until the exporter has accepted the connection.
    pub connect_timeout: Duration,
    /// Until the exporter has answered, and between pieces of its answer. `None`: what the scraper
    /// says in X-Prometheus-Scrape-Timeout-Seconds less half a second, else 9.5 s.
    pub response_timeout: Option<Duration>,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// For one request head, from its first byte to its last.
    pub header_timeout: Duration,
    /// For the body of one request, from the end of its head.
    pub body_timeout: Duration,
    /// Until the client has taken what it was sent, for each 64 KiB.
    pub write_timeout: Duration,
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Of one request head.
    pub max_header_bytes: usize,
    /// Open at a time, of all web listeners.
    pub max_connections: usize,
    /// Of those, from one address.
    pub max_connections_per_address: usize,
    /// HTTP/2 streams open at a time, from one address.
    pub max_streams_per_address: usize,
    /// Held for open requests and for answers that clients have not taken, of all web listeners.
    pub max_buffered_bytes: usize,
    /// Different wrong passwords from one address before it has to wait.
    pub max_auth_failures: u32,
}

/// An exporter is next door; one that takes longer to accept is overloaded.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Prometheus's default scrape timeout: a handshake that takes longer has no scrape behind it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// As above.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Scrapes have no body; what an exporter takes by POST is small.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// At 64 KiB, two kilobytes a second.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Prometheus drops idle connections after five minutes itself; its connections must survive a
/// scrape interval.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// What nginx allows; a scrape's head is a twentieth of it.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Below this a scrape with a long bearer token may not fit.
const HEADER_BYTES: RangeInclusive<usize> = 1024..=256 * 1024;
/// 200 MB of idle TLS connections at the worst. Prometheus keeps one connection per target.
const MAX_CONNECTIONS: usize = 8192;
/// A whole site may stand behind one address; a quarter is the most it can take from others.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 2048;
/// What these hold is bounded by `max_buffered_bytes`. A Prometheus with five thousand targets behind
/// one gateway asks for a few hundred at a time.
const MAX_STREAMS_PER_ADDRESS: usize = 1024;
const CONNECTIONS: RangeInclusive<usize> = 1..=1_000_000;
/// Half of the memory that conf/kubernetes gives the guard. A client that reads needs it for
/// milliseconds.
const MAX_BUFFERED_BYTES: usize = 64 * 1024 * 1024;
/// With less than a mebibyte for each of the four shares, a single large page might not pass.
const BUFFERED_BYTES: RangeInclusive<usize> = 4 * 1024 * 1024..=64 * 1024 * 1024 * 1024;
/// Nobody mistypes this often; a guesser has the thousand likeliest passwords a day.
const MAX_AUTH_FAILURES: u32 = 1000;
const AUTH_FAILURES: RangeInclusive<u32> = 1..=1_000_000;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: None,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            write_timeout: WRITE_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            max_header_bytes: MAX_HEADER_BYTES,
            max_connections: MAX_CONNECTIONS,
            max_connections_per_address: MAX_CONNECTIONS_PER_ADDRESS,
            max_streams_per_address: MAX_STREAMS_PER_ADDRESS,
            max_buffered_bytes: MAX_BUFFERED_BYTES,
            max_auth_failures: MAX_AUTH_FAILURES,
        }
    }
}

impl Limits {
    pub(super) fn validate(node: &Node, problems: &mut Problems) -> Self {
        const KEYS: [&str; 13] = [
            "connect_timeout",
            "response_timeout",
            "handshake_timeout",
            "header_timeout",
            "body_timeout",
            "write_timeout",
            "idle_timeout",
            "max_header_bytes",
            "max_connections",
            "max_connections_per_address",
            "max_streams_per_address",
            "max_buffered_bytes",
            "max_auth_failures",
        ];
        let section = node.section("proxy.limits", &KEYS, problems);
        let default = Self::default();
        let mut timeout = |key: &str| {
            let node = section.get(key)?;
            let name = format!("proxy.limits.{key}");
            let value = duration::from_node(node, &name, problems)?;
            if value.is_zero() {
                problems.error(node, format!("{name}: must be more than 0"));
                return None;
            }
            Some(value)
        };
        let connect_timeout = timeout("connect_timeout").unwrap_or(default.connect_timeout);
        let response_timeout = timeout("response_timeout");
        let handshake_timeout = timeout("handshake_timeout").unwrap_or(default.handshake_timeout);
        let header_timeout = timeout("header_timeout").unwrap_or(default.header_timeout);
        let body_timeout = timeout("body_timeout").unwrap_or(default.body_timeout);
        let write_timeout = timeout("write_timeout").unwrap_or(default.write_timeout);
        let idle_timeout = timeout("idle_timeout").unwrap_or(default.idle_timeout);
        let mut number = |key: &str, range: RangeInclusive<usize>, default: usize| {
            section.get(key).map_or(default, |node| {
                integer(node, &format!("proxy.limits.{key}"), range, problems).unwrap_or(default)
            })
        };
        let max_header_bytes = number("max_header_bytes", HEADER_BYTES, MAX_HEADER_BYTES);
        let max_connections = number("max_connections", CONNECTIONS, MAX_CONNECTIONS);
        let max_connections_per_address =
            number("max_connections_per_address", CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS);
        let max_streams_per_address =
            number("max_streams_per_address", CONNECTIONS, MAX_STREAMS_PER_ADDRESS);
        let max_buffered_bytes = number("max_buffered_bytes", BUFFERED_BYTES, MAX_BUFFERED_BYTES);
        let max_auth_failures = section
            .get("max_auth_failures")
            .and_then(|node| {
                integer(node, "proxy.limits.max_auth_failures", AUTH_FAILURES, problems)
            })
            .unwrap_or(MAX_AUTH_FAILURES);
        Self {
            connect_timeout,
            response_timeout,
            handshake_timeout,
            header_timeout,
            body_timeout,
            write_timeout,
            idle_timeout,
            max_header_bytes,
            max_connections,
            max_connections_per_address,
            max_streams_per_address,
            max_buffered_bytes,
            max_auth_failures,
        }
    }
}

fn integer<T>(
    node: &Node,
    name: &str,
    range: RangeInclusive<T>,
    problems: &mut Problems,
) -> Option<T>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    let value =
        T::try_from(node.integer(name, problems)?).ok().filter(|value| range.contains(value));
    if value.is_none() {
        let message = format!("{name}: expected {} to {}", range.start(), range.end());
        problems.error(node, message);
    }
    value
}
