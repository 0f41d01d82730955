//! `proxy.limits`: the time that each phase may take, and how much one client may have.

use std::time::Duration;

use crate::config::keys::proxy::{
    BODY_TIMEOUT, CONNECT_TIMEOUT, HANDSHAKE_TIMEOUT, HEADER_TIMEOUT, IDLE_TIMEOUT, LIMITS_KEY,
    MAX_AUTH_FAILURES, MAX_BUFFERED_BYTES, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS,
    MAX_HEADER_BYTES, MAX_IN_FLIGHT, MAX_STREAMS_PER_ADDRESS, RESPONSE_TIMEOUT, WRITE_TIMEOUT,
};
use crate::config::keys::{GoDuration, Integer, Key, Section};

/// The limits of one configuration; `keys::proxy` has the defaults and their reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The time until the exporter has accepted a connection.
    pub connect_timeout: Duration,
    /// The time until the exporter has answered, and between pieces of its answer. `None`: what the
    /// scraper says in X-Prometheus-Scrape-Timeout-Seconds less half a second, else 9.5 s.
    pub response_timeout: Option<Duration>,
    /// The time from accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// The time for one request head, from its first byte to its last.
    pub header_timeout: Duration,
    /// The time for the body of one request, from the end of its head.
    pub body_timeout: Duration,
    /// The time until the client has taken what it was sent, for each 64 KiB.
    pub write_timeout: Duration,
    /// The time between two requests of a connection.
    pub idle_timeout: Duration,
    /// The bytes of one request head.
    pub max_header_bytes: usize,
    /// The connections open at a time, of all web listeners.
    pub max_connections: usize,
    /// The connections open at a time from one address.
    pub max_connections_per_address: usize,
    /// The HTTP/2 streams open at a time from one address.
    pub max_streams_per_address: usize,
    /// The bytes held for open requests and for answers that clients have not taken, of all web listeners.
    pub max_buffered_bytes: usize,
    /// The different wrong passwords from one address before it has to wait.
    pub max_auth_failures: u32,
    /// The requests of a route that its exporter answers at a time, unless the route has its own limit.
    pub max_in_flight: usize,
    /// The keys that the file has.
    pub declared: Vec<&'static str>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::read(None)
    }
}

impl Limits {
    /// Reads `limits` of the section `proxy`.
    pub fn read(proxy: Option<&Section<'_>>) -> Self {
        let section = proxy.and_then(|proxy| proxy.get(&LIMITS_KEY));
        let section = section.as_ref();
        Self {
            connect_timeout: timeout(section, &CONNECT_TIMEOUT),
            response_timeout: section.and_then(|section| section.get(&RESPONSE_TIMEOUT)),
            handshake_timeout: timeout(section, &HANDSHAKE_TIMEOUT),
            header_timeout: timeout(section, &HEADER_TIMEOUT),
            body_timeout: timeout(section, &BODY_TIMEOUT),
            write_timeout: timeout(section, &WRITE_TIMEOUT),
            idle_timeout: timeout(section, &IDLE_TIMEOUT),
            max_header_bytes: count(section, &MAX_HEADER_BYTES),
            max_connections: count(section, &MAX_CONNECTIONS),
            max_connections_per_address: count(section, &MAX_CONNECTIONS_PER_ADDRESS),
            max_streams_per_address: count(section, &MAX_STREAMS_PER_ADDRESS),
            max_buffered_bytes: count(section, &MAX_BUFFERED_BYTES),
            max_auth_failures: count(section, &MAX_AUTH_FAILURES),
            max_in_flight: count(section, &MAX_IN_FLIGHT),
            declared: section.map(Section::declared).unwrap_or_default(),
        }
    }
}

fn timeout(section: Option<&Section<'_>>, key: &Key<GoDuration>) -> Duration {
    let given = section.and_then(|section| section.get(key));
    given.or(key.value_type().default()).unwrap_or_default()
}

fn count<T>(section: Option<&Section<'_>>, key: &Key<Integer<T>>) -> T
where
    T: TryFrom<i64> + Copy + std::fmt::Display + Sync,
{
    let given = section.and_then(|section| section.get(key));
    given.unwrap_or(key.value_type().default())
}
