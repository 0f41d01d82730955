//! One exporter: its health, its addresses, and the peer for each request to it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use pingora::prelude::{Error, ErrorType, HttpPeer, Result};
use pingora::protocols::ALPN;
use pingora::protocols::tls::CustomALPN;
use pingora::upstreams::peer::HttpUpstreamRequestPolicy;

use super::{ClientTls, Timeouts, health};
use crate::auth::Permit;
use crate::config::Upstream;
use crate::observe::metrics::UpstreamHealth;

/// The time that an idle connection is kept: less than the idle timeout of any known exporter (Go
/// has none; Python's wsgiref keeps no connection), and long enough for scrapes that come close
/// together.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// The time that the addresses of a host name are used; after a failure they are forgotten at once.
const MAX_RESOLUTION_AGE: Duration = Duration::from_secs(30);

struct Resolved {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

/// The state of one upstream. It makes the peer for each request, and resolves the host name when a
/// request needs it.
pub struct Endpoint {
    upstream: Upstream,
    /// `None` unless the upstream is `https`.
    tls: Option<Arc<ClientTls>>,
    authority: String,
    resolved: ArcSwapOption<Resolved>,
    is_down: AtomicBool,
    health: Arc<UpstreamHealth>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.upstream.fmt(f)
    }
}

impl Endpoint {
    /// Describes an upstream that has not been tried yet; `tls` is for `https`.
    pub fn new(upstream: Upstream, tls: Option<Arc<ClientTls>>) -> Self {
        let authority = match &upstream {
            Upstream::Http { .. } | Upstream::Https { .. } => {
                let url = upstream.to_string();
                url.split_once("://").map_or(url.clone(), |(_, authority)| authority.to_owned())
            }
            Upstream::Unix(_) | Upstream::Own => "localhost".to_owned(),
        };
        let is_down = AtomicBool::new(false);
        let resolved = ArcSwapOption::empty();
        Self { upstream, tls, authority, resolved, is_down, health: Arc::default() }
    }

    /// Returns the address of the exporter as it is configured.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Returns whether the connections of this endpoint can be used for `upstream` with `tls`.
    pub fn is(&self, upstream: &Upstream, tls: Option<&ClientTls>) -> bool {
        self.upstream == *upstream && self.tls.as_deref() == tls
    }

    /// Returns whether the upstream could be reached the last time, or has not been tried.
    pub fn is_up(&self) -> bool {
        !self.is_down.load(Relaxed)
    }

    /// Returns what is known of the health, for metrics; no choice is made by it.
    pub fn health(&self) -> &Arc<UpstreamHealth> {
        &self.health
    }

    pub(super) fn up(&self) {
        self.is_down.store(false, Relaxed);
        self.health.reached();
    }

    /// Marks the upstream as down, and probes it until it is up again.
    pub(super) fn down(endpoint: &Arc<Self>) {
        if !endpoint.is_down.swap(true, Relaxed) {
            tracing::warn!(upstream = %endpoint, "Upstream is down");
            tokio::spawn(health::watch(Arc::downgrade(endpoint)));
        }
    }

    /// Returns the value of `Host` for a request whose client sent none.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns how many addresses the last answer of the resolver had; 1 without an answer.
    pub fn address_count(&self) -> usize {
        self.resolved.load().as_ref().map_or(1, |resolved| resolved.addresses.len())
    }

    /// Forgets the addresses of the host name, so that the next request resolves it anew: it may
    /// have other addresses by now.
    pub fn forget_addresses(&self) {
        self.resolved.store(None);
    }

    /// Makes the peer for a request that holds a permit; the first `skip` addresses are left out.
    ///
    /// # Errors
    ///
    /// Returns an error when the host name has no address, or pingora does not take the path of a
    /// unix socket, which has to be UTF-8. `https` without TLS settings and the guard itself as the
    /// upstream are errors, too; only a defect leads there.
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
        peer.options.idle_timeout = Some(POOL_IDLE_TIMEOUT);
        // Takes the connection from the guard's own connector.
        peer.options.alpn = ALPN::Custom(CustomALPN::new(b"paced".to_vec()));
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
            && resolved.at.elapsed() < MAX_RESOLUTION_AGE
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
