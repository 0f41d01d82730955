//! `proxy`: the section of our own. A file without it behaves as the exporter-toolkit documents.

use std::time::Duration;

use super::duration;
use super::findings::Problems;
use super::node::Node;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// Request targets that are answered without credentials, compared as they are.
    pub public_paths: Vec<String>,
    pub limits: Limits,
}

/// `proxy.limits`.
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
    /// Between two requests of a connection.
    pub idle_timeout: Duration,
    /// Of one request head.
    pub max_header_bytes: usize,
}

/// An exporter is next door; one that takes longer to accept is overloaded.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Prometheus's default scrape timeout: a handshake that takes longer has no scrape behind it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// As above.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Prometheus drops idle connections after five minutes itself; its connections must survive a
/// scrape interval.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);
/// What nginx allows; a scrape's head is a twentieth of it.
const MAX_HEADER_BYTES: usize = 32 * 1024;
/// Below this a scrape with a long bearer token may not fit.
const MIN_HEADER_BYTES: i64 = 1024;
const MAX_MAX_HEADER_BYTES: i64 = 256 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            response_timeout: None,
            handshake_timeout: HANDSHAKE_TIMEOUT,
            header_timeout: HEADER_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            max_header_bytes: MAX_HEADER_BYTES,
        }
    }
}

impl Proxy {
    pub(super) fn validate(node: Option<&Node>, problems: &mut Problems) -> Self {
        let Some(node) = node else { return Self::default() };
        let section = node.section("proxy", &["public_paths", "limits"], problems);
        Self {
            public_paths: section
                .get("public_paths")
                .map(|node| public_paths(node, problems))
                .unwrap_or_default(),
            limits: section.get("limits").map(|node| limits(node, problems)).unwrap_or_default(),
        }
    }
}

fn public_paths(node: &Node, problems: &mut Problems) -> Vec<String> {
    let place = "proxy.public_paths";
    let mut paths = Vec::new();
    for (item, path) in node.strings(place, problems) {
        match unusual(path) {
            Some(what) => problems.error(item, format!("{place}: {path:?} {what}")),
            None => paths.push(path.to_owned()),
        }
    }
    paths
}

/// A path that different programs could read differently must not be public.
fn unusual(path: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,=".contains(&byte);
    if !path.starts_with('/') {
        return Some("does not start with /; write for example /-/healthy");
    }
    if !path.bytes().all(plain) {
        return Some(
            "holds a character that is not plain in a path; queries, % and ; cannot be public",
        );
    }
    if path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        return Some("holds an empty or dot segment; write the path the exporter sees");
    }
    None
}

fn limits(node: &Node, problems: &mut Problems) -> Limits {
    const KEYS: [&str; 6] = [
        "connect_timeout",
        "response_timeout",
        "handshake_timeout",
        "header_timeout",
        "idle_timeout",
        "max_header_bytes",
    ];
    let section = node.section("proxy.limits", &KEYS, problems);
    let mut limits = Limits::default();
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
    limits.connect_timeout = timeout("connect_timeout").unwrap_or(limits.connect_timeout);
    limits.response_timeout = timeout("response_timeout");
    limits.handshake_timeout = timeout("handshake_timeout").unwrap_or(limits.handshake_timeout);
    limits.header_timeout = timeout("header_timeout").unwrap_or(limits.header_timeout);
    limits.idle_timeout = timeout("idle_timeout").unwrap_or(limits.idle_timeout);
    if let Some(node) = section.get("max_header_bytes") {
        limits.max_header_bytes = max_header_bytes(node, problems);
    }
    limits
}

fn max_header_bytes(node: &Node, problems: &mut Problems) -> usize {
    let name = "proxy.limits.max_header_bytes";
    let Some(value) = node.integer(name, problems) else { return MAX_HEADER_BYTES };
    if !(MIN_HEADER_BYTES..=MAX_MAX_HEADER_BYTES).contains(&value) {
        let message = format!("{name}: expected {MIN_HEADER_BYTES} to {MAX_MAX_HEADER_BYTES}");
        problems.error(node, message);
    }
    usize::try_from(value).unwrap_or(MAX_HEADER_BYTES)
}
