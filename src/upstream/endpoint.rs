//! The connections to one exporter.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::upstreams::peer::HttpUpstreamRequestPolicy;

use super::{ClientTls, Timeouts, health};
use crate::auth::Permit;
use crate::config::Upstream;

/// Idle connections are kept this long: less than any exporter's own idle timeout is known to be
/// (Go: none; Python's wsgiref: none kept), and long enough for scrapes that come close together.
const POOL_IDLE: Duration = Duration::from_secs(15);

/// How long the addresses of a host name are believed; a failure ends it at once.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

struct Resolved {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// Makes the peer for each request; resolves host names when they are asked for.
pub struct Endpoint {
    upstream: Upstream,
    /// For `https`.
    tls: Option<Arc<ClientTls>>,
    authority: String,
    resolved: ArcSwapOption<Resolved>,
    is_down: AtomicBool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.upstream.fmt(f)
    }
}

impl Endpoint {
    pub fn new(upstream: Upstream, tls: Option<Arc<ClientTls>>) -> Self {
        let authority = match &upstream {
            Upstream::Http { .. } | Upstream::Https { .. } => {
                let url = upstream.to_string();
                url.split_once("://").map_or(url.clone(), |(_, authority)| authority.to_owned())
            }
            Upstream::Unix(_) | Upstream::Own => "localhost".to_owned(),
        };
        let is_down = AtomicBool::new(false);
        Self { upstream, tls, authority, resolved: ArcSwapOption::empty(), is_down }
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Whether its connections serve for this, too.
    pub fn is(&self, upstream: &Upstream, tls: Option<&ClientTls>) -> bool {
        self.upstream == *upstream && self.tls.as_deref() == tls
    }

    /// Whether it could be reached the last time, or has not been tried.
    pub fn is_up(&self) -> bool {
        !self.is_down.load(Relaxed)
    }

    pub(super) fn up(&self) {
        self.is_down.store(false, Relaxed);
    }

    /// Look after it until it is up again.
    pub(super) fn down(endpoint: &Arc<Self>) {
        if !endpoint.is_down.swap(true, Relaxed) {
            tracing::warn!(upstream = %endpoint, "Upstream is down");
            tokio::spawn(health::watch(Arc::downgrade(endpoint)));
        }
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

    /// The peer for a request that holds a permit. `skip` addresses are passed over.
    pub async fn peer(&self, _: &Permit, skip: usize, timeouts: Timeouts) -> Result<Box<HttpPeer>> {
        let mut peer = match &self.upstream {
            Upstream::Http { host, port } => {
                let address = self.address(host, *port, skip).await?;
                HttpPeer::new(address, false, String::new())
            }
            Upstream::Https { host, port } => {
                let Some(tls) = &self.tls else {
                    return Err(Error::explain(ErrorType::InternalError, "nobody to trust"));
                };
                let address = self.address(host, *port, skip).await?;
                tls.peer(address, host)
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
