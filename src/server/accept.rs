//! The accept loop, and one connection from its first byte to its last.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pingora::apps::HttpServerApp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use super::handshakes::Handshakes;
use crate::child::Readiness;
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::net::admission::{Admission, Full, Place, Room};
use crate::net::connection::Admitted;
use crate::net::handshake::{self, HandshakeError};
use crate::net::listener::AcceptedSocket;
use crate::net::transport::Transport;
use crate::net::{Bound, Listener, Peer, Shown, SocketIo, connection, proxy_protocol};
use crate::process::descriptors;
use crate::proxy::Engine;
use crate::reload::ReloadHandle;
use crate::snapshot::{Current, Snapshot};
use crate::source::Source;
use crate::telemetry::{Endpoints, Throttle};
use crate::tls::Acceptor;

pub struct Listeners {
    pub web: Vec<Bound>,
    pub telemetry: Vec<Bound>,
}

/// Whether a listener does TLS.
#[derive(Clone, Copy)]
enum Tls {
    Off,
    /// When the configuration in force at accept says so.
    BySnapshot,
}

/// Who was accepted, with the place it takes.
struct Client {
    socket: AcceptedSocket,
    listener: Arc<str>,
    address: Option<SocketAddr>,
    /// Whether it is a load balancer that is yet to say who its client is.
    proxied: bool,
    place: Place,
    /// Of which it takes it.
    room: Room,
}

/// Whose connection ended before its first request, and why.
type Failed = (HandshakeError, Option<SocketAddr>);

/// Ready for its first request.
struct Established {
    transport: Transport,
    /// What a load balancer has said, where there is one.
    address: Option<SocketAddr>,
    place: Place,
}

/// What every listener shares.
#[derive(Clone)]
pub struct Service {
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    handshakes_logged: Arc<Throttle>,
    refusals_logged: Arc<Throttle>,
    admission: Arc<Admission>,
    /// Connections that there are descriptors for.
    affordable: usize,
    connections: TaskTracker,
    handshakes: Arc<Handshakes>,
    stopping: watch::Receiver<bool>,
}

impl Service {
    pub fn new(
        current: Arc<Current>,
        metrics: Arc<Metrics>,
        readiness: Arc<Readiness>,
        handshakes: Arc<Handshakes>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            current,
            metrics,
            readiness,
            handshakes_logged: Arc::default(),
            refusals_logged: Arc::default(),
            admission: Arc::default(),
            affordable: descriptors::connections(),
            connections: TaskTracker::new(),
            handshakes,
            stopping,
        }
    }

    /// Those that are open.
    pub fn connections(&self) -> &TaskTracker {
        &self.connections
    }

    /// Accept on every listener for as long as the returned set lives.
    pub fn start(
        &self,
        listeners: Listeners,
        engine: &Arc<Engine>,
        reload: &ReloadHandle,
    ) -> Result<JoinSet<()>, String> {
        let endpoints = Arc::new(Endpoints {
            metrics: Arc::clone(&self.metrics),
            current: Arc::clone(&self.current),
            reload: reload.clone(),
            readiness: Arc::clone(&self.readiness),
        });
        let mut accepting = JoinSet::new();
        // A flood on the web listeners must not hide what the guard says about it.
        let telemetry = Self { admission: Arc::default(), ..self.clone() };
        for bound in listeners.telemetry {
            let listener = self.announce(bound, "telemetry")?;
            accepting.spawn(telemetry.clone().accept(listener, Arc::clone(&endpoints), Tls::Off));
        }
        for bound in listeners.web {
            let listener = self.announce(bound, "web")?;
            accepting.spawn(self.clone().accept(listener, Arc::clone(engine), Tls::BySnapshot));
        }
        Ok(accepting)
    }

    fn announce(&self, bound: Bound, name: &'static str) -> Result<Listener, String> {
        let snapshot = self.current.load();
        let tls = name == "web" && snapshot.tls(&bound.name).is_some();
        tracing::info!(
            listener = name,
            address = bound.address,
            tls,
            http2 = tls && snapshot.http2(),
            "Listening on"
        );
        bound.listen().map_err(|error| format!("cannot listen: {error}"))
    }

    async fn accept<A>(self, listener: Listener, app: Arc<A>, tls: Tls)
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        loop {
            let (socket, address) = listener.accept().await;
            let snapshot = self.current.load_full();
            let proxied = matches!(tls, Tls::BySnapshot)
                && snapshot.config.proxy.expects_proxy_protocol(&listener.name, address);
            let room = self.room(snapshot.limits());
            let place = if proxied {
                self.admission.admit_anyone(room)
            } else {
                self.admission.admit(Source::of(address), room)
            };
            match place {
                Ok(place) => {
                    let listener = Arc::clone(&listener.name);
                    let client = Client { socket, listener, address, proxied, place, room };
                    let connection =
                        self.clone().connection(client, snapshot, Arc::clone(&app), tls);
                    self.connections.spawn(connection);
                }
                // Closed before it costs anything.
                Err(full) => self.connection_refused(full, address),
            }
        }
    }

    /// One connection, from the first byte to the last, under the configuration at its accept.
    async fn connection<A>(self, client: Client, snapshot: Arc<Snapshot>, app: Arc<A>, tls: Tls)
    where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let _open = self.metrics.connection_opened();
        let Client { socket, listener, address, proxied, place, room } = client;
        let acceptor = match tls {
            Tls::Off => None,
            Tls::BySnapshot => snapshot.tls(&listener).map(|tls| tls.acceptor.clone()),
        };
        let client_auth = snapshot.config.handshake_client_auth(&listener);
        let limits = snapshot.limits().clone();
        drop(snapshot);
        let io = SocketIo::new(socket, limits.write_timeout);
        let deadline = Arc::clone(&io.deadline);
        deadline.arm(limits.handshake_timeout);
        let mut stopping = self.stopping.clone();
        let begun = Arc::clone(&io.begun);
        let established = {
            // Boxed: its space is given back before the connection begins to wait.
            let mut beginning =
                Box::pin(self.establish(io, address, proxied, (place, room), acceptor));
            tokio::select! {
                established = &mut beginning => established,
                () = connection::stopped(&mut stopping, deadline.start()) => {
                    // Nothing was asked for yet. One that has begun may finish, by the deadline.
                    if !begun.load(Relaxed) {
                        return;
                    }
                    beginning.await
                }
            }
        };
        let peer = |address, tls| {
            Arc::new(Peer::new(Arc::clone(&listener), address, tls, Arc::clone(&deadline)))
        };
        match established {
            Ok(Some(Established { transport, address, place })) => {
                let shown = transport.ssl().map(|ssl| Shown::of(ssl, client_auth));
                let peer = peer(address, shown);
                deadline.arm(limits.header_timeout);
                let service = self.clone();
                let stream_refused = Box::new(move || service.stream_refused(address));
                let admitted = Admitted { place, stream_refused };
                connection::serve(&app, transport, peer, admitted, &limits, &self.stopping).await;
            }
            Ok(None) => {}
            Err((error, address)) => self.handshake_failed(&error, &peer(address, None)),
        }
    }

    /// `None`: there is no place for the client that a load balancer names.
    async fn establish(
        &self,
        mut io: SocketIo,
        mut address: Option<SocketAddr>,
        proxied: bool,
        (mut place, room): (Place, Room),
        acceptor: Option<Acceptor>,
    ) -> Result<Option<Established>, Failed> {
        if proxied {
            let client = proxy_protocol::read(&mut io).await;
            if let Some(client) = client.map_err(|error| (error, address))? {
                address = Some(client);
            }
            // That was the load balancer; its client has yet to.
            io.begun.store(false, Relaxed);
            if let Err(full) = place.take_for(Source::of(address), room) {
                self.connection_refused(full, address);
                return Ok(None);
            }
        }
        let transport = match acceptor {
            None => handshake::establish(io, None).await,
            Some(acceptor) => {
                let handshake = async move { handshake::establish(io, Some(&acceptor)).await };
                let done = self.handshakes.run(place.source(), handshake).await;
                done.unwrap_or(Err(HandshakeError::Silent))
            }
        };
        let transport = transport.map_err(|error| (error, address))?;
        Ok(Some(Established { transport, address, place }))
    }

    /// What is configured, as far as there are descriptors for it.
    fn room(&self, limits: &Limits) -> Room {
        Room {
            total: limits.max_connections.min(self.affordable),
            per_source: limits.max_connections_per_address,
        }
    }

    fn connection_refused(&self, full: Full, address: Option<SocketAddr>) {
        self.metrics.connection_refused(full.reason());
        self.log_refusal("Connection", full.reason(), address);
    }

    fn stream_refused(&self, address: Option<SocketAddr>) {
        const REASON: &str = "too many streams from one address";
        self.metrics.request_refused(REASON);
        self.log_refusal("Stream", REASON, address);
    }

    fn log_refusal(&self, what: &str, reason: &'static str, address: Option<SocketAddr>) {
        if let Some(suppressed) = self.refusals_logged.admit(reason) {
            let remote = address.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(reason, remote, suppressed, "{what} refused");
        }
    }

    fn handshake_failed(&self, error: &HandshakeError, peer: &Peer) {
        self.metrics.handshake_failed();
        let (kind, reason) = match error {
            // Health checks and port scans: no news.
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
