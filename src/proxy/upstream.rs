//! The exporter: where it is, how long it may take, and what may be forwarded to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::upstreams::peer::HttpUpstreamRequestPolicy;

use crate::auth::Permit;
use crate::config::Limits;

/// Idle connections are kept this long: less than any exporter's own idle timeout is known to be
/// (Go: none; Python's wsgiref: none kept), and long enough for scrapes that come close together.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// How long the addresses of a host name are believed; a failure ends it at once.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

/// What Prometheus sends along with a scrape.
const SCRAPE_TIMEOUT_HEADER: &str = "x-prometheus-scrape-timeout-seconds";
/// The answer must reach the scraper before it gives up (the offset that blackbox_exporter uses).
const SCRAPE_TIMEOUT_OFFSET: f64 = 0.5;
/// A scraper that states none gets Prometheus's default of 10 s, less the offset.
const DEFAULT_SCRAPE_TIMEOUT: f64 = 10.0;
/// pingora runs shorter timers on a thread of its own that wakes 100 times a second for ever.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// No scraper waits longer; bounds what a header can ask for.
const LONGEST_SCRAPE_TIMEOUT: f64 = 600.0;

/// `--upstream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    Http {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// The guard's own metrics.
    Own,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "expected http://HOST:PORT, unix:/path or self";
        if text == "self" {
            return Ok(Self::Own);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!("a unix socket needs an absolute path: {wanted}"))
            };
        }
        if text.starts_with("https://") {
            return Err(format!("the upstream is a plaintext exporter: {wanted}"));
        }
        let uri: http::Uri = text.parse().map_err(|_| wanted)?;
        let authority =
            uri.authority().filter(|_| uri.scheme_str() == Some("http")).ok_or(wanted)?;
        if !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(format!("no path, query or user here: {wanted}"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if authority.as_str() == authority.host() => 80,
            None => return Err(format!("port is not 1 to 65535: {wanted}")),
        };
        Ok(Self::Http { host, port })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Own => f.write_str("self"),
        }
    }
}

/// How long the exporter may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    connect: Duration,
    response: Duration,
}

impl Timeouts {
    /// A configured response timeout counts; otherwise the scraper's own.
    pub fn of(limits: &Limits, request: &RequestHeader) -> Self {
        let response = limits.response_timeout.unwrap_or_else(|| {
            let stated = request
                .headers
                .get(SCRAPE_TIMEOUT_HEADER)
                .and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
            from_scrape_timeout(stated)
        });
        let response = response.max(SHORTEST_TIMEOUT);
        let connect = limits.connect_timeout.clamp(SHORTEST_TIMEOUT, response);
        Self { connect, response }
    }
}

fn from_scrape_timeout(stated: Option<f64>) -> Duration {
    let timeout = stated
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .unwrap_or(DEFAULT_SCRAPE_TIMEOUT)
        .min(LONGEST_SCRAPE_TIMEOUT);
    // A timeout about as short as the offset keeps half of itself.
    Duration::from_secs_f64((timeout - SCRAPE_TIMEOUT_OFFSET).max(timeout / 2.0))
}

struct Resolved {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// Makes the peer for each request; resolves host names when they are asked for.
pub struct UpstreamPool {
    upstream: Upstream,
    authority: String,
    resolved: ArcSwapOption<Resolved>,
}

impl fmt::Display for UpstreamPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.upstream.fmt(f)
    }
}

impl UpstreamPool {
    pub fn new(upstream: Upstream) -> Self {
        let authority = match &upstream {
            Upstream::Http { .. } => upstream.to_string().trim_start_matches("http://").to_owned(),
            Upstream::Unix(_) | Upstream::Own => "localhost".to_owned(),
        };
        Self { upstream, authority, resolved: ArcSwapOption::empty() }
    }

    pub fn is_own(&self) -> bool {
        self.upstream == Upstream::Own
    }

    /// What `Host` says when the client did not.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// How many addresses the last answer of the resolver had.
    pub fn address_count(&self) -> usize {
        self.resolved.load().as_ref().map_or(1, |resolved| resolved.addresses.len())
    }

    /// Resolve anew next time: the name may have moved.
    pub fn forget_addresses(&self) {
        self.resolved.store(None);
    }

    /// The peer for a request that holds a permit. `skip` addresses failed already.
    pub async fn peer(&self, _: &Permit, skip: usize, timeouts: Timeouts) -> Result<Box<HttpPeer>> {
        let mut peer = match &self.upstream {
            Upstream::Http { host, port } => {
                let address = self.address(host, *port, skip).await?;
                HttpPeer::new(address, false, String::new())
            }
            Upstream::Unix(path) => {
                let path = path.to_str().ok_or_else(|| {
                    Error::explain(ErrorType::ConnectError, "socket path is not UTF-8").into_up()
                })?;
                HttpPeer::new_uds(path, false, String::new())?
            }
            Upstream::Own => {
                return Err(Error::explain(ErrorType::InternalError, "answered by the guard"));
            }
        };
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = Some(timeouts.response);
        peer.options.write_timeout = Some(timeouts.response);
        peer.options.idle_timeout = Some(POOL_IDLE);
        peer.options.http_upstream_request_policy = HttpUpstreamRequestPolicy::deny_upgrades();
        Ok(Box::new(peer))
    }

    async fn address(&self, host: &str, port: u16, skip: usize) -> Result<SocketAddr> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let resolved = self.resolve(host, port).await?;
        let index = skip % resolved.addresses.len().max(1);
        resolved
            .addresses
            .get(index)
            .copied()
            .ok_or_else(|| Error::explain(ErrorType::ConnectError, "name has no address").into_up())
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Arc<Resolved>> {
        if let Some(resolved) = self.resolved.load_full()
            && resolved.at.elapsed() < RESOLVED_FOR
        {
            return Ok(resolved);
        }
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|_| Error::explain(ErrorType::ConnectError, "name not resolved").into_up())?
            .collect();
        let resolved = Arc::new(Resolved { addresses, at: Instant::now() });
        self.resolved.store(Some(Arc::clone(&resolved)));
        Ok(resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_each_form_and_prints_it_back() {
        for text in ["http://127.0.0.1:9100", "http://[::1]:9100", "unix:/run/e.sock", "self"] {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), text);
        }
        assert_eq!("http://a/".parse::<Upstream>().unwrap().to_string(), "http://a:80");
    }

    #[test]
    fn refuses_what_is_no_plaintext_exporter() {
        for text in [
            "",
            "127.0.0.1:9100",
            "https://a:1",
            "http://a:1/metrics",
            "http://u:p@a:1",
            "http://a:99999",
            "unix:relative",
            "http://a:1?x",
        ] {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_answer_comes_before_the_scraper_gives_up() {
        assert_eq!(from_scrape_timeout(None), Duration::from_millis(9500));
        assert_eq!(from_scrape_timeout(Some(30.0)), Duration::from_millis(29_500));
        assert_eq!(from_scrape_timeout(Some(0.5)), Duration::from_millis(250));
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert_eq!(from_scrape_timeout(Some(nonsense)), Duration::from_millis(9500));
        }
        assert_eq!(from_scrape_timeout(Some(1e9)), Duration::from_millis(599_500));
    }
}
