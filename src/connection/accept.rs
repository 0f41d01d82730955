//! The accept loop, and one connection from its first byte to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pingora::apps::HttpServerApp;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::budget::MemoryBudget;
use super::handshake::{self, HandshakeError};
use super::handshake_pool::HandshakePool;
use super::io::SocketIo;
use super::limits::{ConnectionLimits, ConnectionPermit, ConnectionTracker, LimitReached};
use super::listener::{AcceptedSocket, Listener};
use super::peer::{Peer, TlsPeerInfo};
use super::proxy_header;
use super::serve::{self, Admitted};
use super::transport::Transport;
use crate::auth::KnownNetworks;
use crate::config::{ClientNetwork, Limits};
use crate::observe::{LogThrottle, Metrics};
use crate::os::descriptors;
use crate::snapshot::{Current, Snapshot};
use crate::tls::Acceptor;

/// The beginning of a listener's connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Plaintext HTTP, whatever the configuration says.
    Plaintext,
    /// PROXY headers and TLS as the configuration in force at accept says for this listener.
    Configured,
}

/// An accepted socket with its count against the limits.
struct Client {
    socket: AcceptedSocket,
    listener: Arc<str>,
    address: Option<SocketAddr>,
    /// True if it is a load balancer that has yet to name its client.
    sends_proxy_header: bool,
    permit: ConnectionPermit,
    limits: ConnectionLimits,
}

/// The reason why a connection ended before its first request, and whose it was.
type Failed = (HandshakeError, Option<SocketAddr>);

/// A connection that is ready for its first request.
struct Established {
    transport: Transport,
    /// The client that a load balancer has named, or else the one that has connected.
    address: Option<SocketAddr>,
    permit: ConnectionPermit,
}

/// Accepts connections and serves them; everything that the connections of several listeners share.
#[derive(Clone)]
pub struct Connections {
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    handshakes_logged: Arc<LogThrottle>,
    refusals_logged: Arc<LogThrottle>,
    tracker: Arc<ConnectionTracker>,
    budget: Arc<MemoryBudget>,
    /// The client networks that some connections are reserved for.
    known_networks: Arc<KnownNetworks>,
    /// The number of connections that there are descriptors for.
    affordable: usize,
    tasks: TaskTracker,
    handshakes: Arc<HandshakePool>,
    stopping: watch::Receiver<bool>,
}

impl Connections {
    /// Shares one count of connections among the listeners that [`Self::accept`] is called for.
    pub fn new(
        current: Arc<Current>,
        metrics: Arc<Metrics>,
        handshakes: Arc<HandshakePool>,
        known_networks: Arc<KnownNetworks>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let connections = Self {
            current,
            metrics,
            handshakes_logged: Arc::default(),
            refusals_logged: Arc::default(),
            tracker: Arc::default(),
            budget: Arc::default(),
            known_networks,
            affordable: descriptors::connections(),
            tasks: TaskTracker::new(),
            handshakes,
            stopping,
        };
        let refusals = [LimitReached::Total, LimitReached::PerNetwork].map(LimitReached::reason);
        connections.metrics.connections.expect(&refusals, HandshakeError::kinds());
        // Records them before the first connection.
        let _ = connections.limits(connections.current.load().limits());
        connections
    }

    /// Shares everything but the count of connections and the memory for clients: a flood on one of the
    /// two closes no connection of the other, and nothing is reserved where nobody authenticates.
    pub fn with_own_limits(&self) -> Self {
        Self {
            tracker: Arc::default(),
            budget: Arc::default(),
            known_networks: Arc::default(),
            ..self.clone()
        }
    }

    /// Returns the memory that clients of the web listeners may make the guard hold.
    pub fn budget(&self) -> Arc<MemoryBudget> {
        Arc::clone(&self.budget)
    }

    /// Returns the connections that are open.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Accepts connections for `app` until the future is dropped.
    pub async fn accept<A>(self, listener: Listener, app: Arc<A>, protocol: Protocol)
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        loop {
            let (socket, address) = listener.accept().await;
            let snapshot = self.current.load_full();
            let sends_proxy_header = protocol == Protocol::Configured
                && snapshot.config.proxy.expects_proxy_protocol(&listener.name, address);
            let limits = self.limits(snapshot.limits());
            let permit = if sends_proxy_header {
                self.tracker.assign_later(limits)
            } else {
                let network = ClientNetwork::of(address);
                self.tracker.assign(network, self.known_networks.contains(network), limits)
            };
            match permit {
                Ok(permit) => {
                    let listener = Arc::clone(&listener.name);
                    let client =
                        Client { socket, listener, address, sends_proxy_header, permit, limits };
                    let connection =
                        self.clone().connection(client, snapshot, Arc::clone(&app), protocol);
                    self.tasks.spawn(connection);
                }
                // Closed before it costs anything.
                Err(limit) => self.connection_refused(limit, address),
            }
        }
    }

    /// Serves one connection from the first byte to the last; its TLS and its limits are those of the
    /// configuration at its accept.
    async fn connection<A>(
        self,
        client: Client,
        snapshot: Arc<Snapshot>,
        app: Arc<A>,
        protocol: Protocol,
    ) where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let _open = self.metrics.connections.opened();
        let listener = Arc::clone(&client.listener);
        let tls = match protocol {
            Protocol::Plaintext => None,
            Protocol::Configured => snapshot.tls(&listener),
        };
        let acceptor = tls.map(|tls| tls.acceptor.clone());
        let clients = tls.map(|tls| (tls.handshake_client_auth, Arc::clone(&tls.client_verifier)));
        let limits = snapshot.limits().clone();
        drop(snapshot);
        let address = client.address;
        let io = SocketIo::new(client.socket, limits.write_timeout);
        let deadline = Arc::clone(&io.deadline);
        deadline.arm(limits.handshake_timeout);
        let mut stopping = self.stopping.clone();
        let begun = Arc::clone(&io.begun);
        let established = {
            let permit = (client.permit, client.limits);
            // Boxed: its space is given back before the connection begins to wait.
            let mut establish =
                Box::pin(self.establish(io, address, client.sends_proxy_header, permit, acceptor));
            tokio::select! {
                established = &mut establish => established,
                () = serve::stopped(&mut stopping, deadline.start()) => {
                    // A client that has not sent anything has asked for nothing. One that has begun
                    // may finish, by the deadline.
                    if !begun.load(Relaxed) {
                        return;
                    }
                    establish.await
                }
            }
        };
        let peer = |address, tls| {
            let network = ClientNetwork::of(address);
            let memory = self.budget.reserve(network, limits.max_buffered_bytes);
            Arc::new(Peer::new(Arc::clone(&listener), address, tls, Arc::clone(&deadline), memory))
        };
        match established {
            Ok(Some(Established { transport, address, permit })) => {
                if let Some(ssl) = transport.ssl() {
                    self.metrics.connections.handshake(ssl.version_str(), ssl.session_reused());
                }
                let tls = transport.ssl().zip(clients);
                let tls = tls.map(|(ssl, (auth, verifier))| TlsPeerInfo::of(ssl, auth, &verifier));
                let peer = peer(address, tls);
                deadline.arm(limits.header_timeout);
                let connections = self.clone();
                let refused = Box::new(move |what, reason| {
                    connections.request_refused(what, reason, address)
                });
                let admitted = Admitted { permit, refused };
                serve::serve(&app, transport, peer, admitted, &limits, &self.stopping).await;
            }
            Ok(None) => {}
            Err((error, address)) => self.handshake_failed(&error, &peer(address, None)),
        }
    }

    /// Brings a connection to its first request; `None` when the client that a load balancer names
    /// has too many connections.
    async fn establish(
        &self,
        mut io: SocketIo,
        mut address: Option<SocketAddr>,
        sends_proxy_header: bool,
        (mut permit, limits): (ConnectionPermit, ConnectionLimits),
        acceptor: Option<Acceptor>,
    ) -> Result<Option<Established>, Failed> {
        if sends_proxy_header {
            let client = proxy_header::read(&mut io).await;
            if let Some(client) = client.map_err(|error| (error, address))? {
                address = Some(client);
            }
            // The header was the load balancer's; its client has sent nothing yet.
            io.begun.store(false, Relaxed);
            let network = ClientNetwork::of(address);
            let is_known = self.known_networks.contains(network);
            if let Err(limit) = permit.assign(network, is_known, limits) {
                self.connection_refused(limit, address);
                return Ok(None);
            }
        }
        let transport = match acceptor {
            None => handshake::establish(io, None).await,
            Some(acceptor) => {
                let handshake = async move { handshake::establish(io, Some(&acceptor)).await };
                let done = self.handshakes.run(permit.network(), handshake).await;
                done.unwrap_or(Err(HandshakeError::Silent))
            }
        };
        let transport = transport.map_err(|error| (error, address))?;
        Ok(Some(Established { transport, address, permit }))
    }

    /// Returns the configured limits, as far as there are descriptors for them.
    fn limits(&self, limits: &Limits) -> ConnectionLimits {
        let limits = ConnectionLimits {
            total: limits.max_connections.min(self.affordable),
            per_network: limits.max_connections_per_address,
            reserves: !self.known_networks.is_empty(),
        };
        self.metrics.connections.set_limits(limits.total, limits.per_network);
        limits
    }

    fn connection_refused(&self, limit: LimitReached, address: Option<SocketAddr>) {
        self.metrics.connections.refused(limit.reason());
        self.log_refusal("Connection", limit.reason(), address);
    }

    fn request_refused(
        &self,
        what: &'static str,
        reason: &'static str,
        address: Option<SocketAddr>,
    ) {
        self.metrics.request_refused(reason, address_of(address));
        self.log_refusal(what, reason, address);
    }

    fn log_refusal(&self, what: &str, reason: &'static str, address: Option<SocketAddr>) {
        if let Some(suppressed) = self.refusals_logged.admit(reason) {
            let remote = address.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(reason, remote, suppressed, "{what} refused");
        }
    }

    fn handshake_failed(&self, error: &HandshakeError, peer: &Peer) {
        self.metrics.connections.handshake_failed(error.kind());
        let (kind, reason) = match error {
            // Health checks and port scans are no news.
            HandshakeError::Silent => return,
            HandshakeError::ProxyProtocol => ("proxy protocol", "no valid PROXY header"),
            HandshakeError::HttpOnTlsPort => ("http on tls port", "HTTP request to an HTTPS port"),
            HandshakeError::TlsOnPlainPort => ("tls on plain port", "TLS on a plaintext port"),
            HandshakeError::Tls(reason) => ("tls", reason.as_str()),
        };
        if let Some(suppressed) = self.handshakes_logged.admit(kind) {
            tracing::warn!(reason, remote = %peer, suppressed, "Handshake failed");
        }
    }
}

/// Returns the address of a client without its port, for the status page.
fn address_of(address: Option<SocketAddr>) -> String {
    address.map_or_else(|| "unix".to_owned(), |address| address.ip().to_string())
}
