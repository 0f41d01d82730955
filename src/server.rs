//! The composition root: runtime, listeners, signals, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::metrics::Metrics;
use crate::net::handshake::{self, HandshakeError};
use crate::net::listener::AcceptedSocket;
use crate::net::{Bound, Listener, Peer, SocketIo, connection};
use crate::proxy::{self, Engine, Guard, Upstream};
use crate::reload::{Initial, ReloadHandle, Reloader};
use crate::snapshot::{Current, Snapshot};
use crate::telemetry::{Endpoints, Throttle};

/// What a start needs, all of it validated.
pub struct Plan {
    pub listeners: Vec<Bound>,
    pub telemetry: Vec<Bound>,
    pub upstream: Upstream,
    pub grace_period: Duration,
    pub snapshot: Snapshot,
    pub initial: Initial,
}

/// Run until a signal says stop.
pub fn run(plan: Plan) -> Result<(), String> {
    // Sends pingora's timers to tokio's wheel: its own timer thread wakes 100 times a second.
    set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    let metrics = Arc::new(Metrics::default());
    let expiry = plan.snapshot.certificate_expiry().map(|expiry| expiry.unix_seconds);
    metrics.config_loaded(plan.snapshot.generation, expiry);
    let current = Arc::new(Current::from_pointee(plan.snapshot));
    let guard = Guard::new(Arc::clone(&current), plan.upstream, Arc::clone(&metrics));
    // SAFETY: nothing has started a thread yet; the reloader and the runtime below are the first.
    let engine = unsafe { proxy::engine(guard) };
    let reloader = Reloader::start(plan.initial, Arc::clone(&current), Arc::clone(&metrics))
        .map_err(|error| format!("cannot start the reload thread: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let (stop, stopping) = watch::channel(false);
    let service = Service {
        current,
        metrics,
        handshakes_logged: Arc::new(Throttle::default()),
        connections: TaskTracker::new(),
        stopping,
    };
    let listeners = Listeners { web: plan.listeners, telemetry: plan.telemetry };
    let result = runtime.block_on(async {
        let mut signals =
            Signals::new().map_err(|error| format!("cannot handle signals: {error}"))?;
        let accepting = service.start(listeners, &engine, &reloader.handle())?;
        let graceful = signals.wait(&reloader.handle()).await;
        // Dropping the listeners closes them.
        drop(accepting);
        if graceful {
            // Nobody listens only when every connection is gone.
            let _ = stop.send(true);
            drain(&service.connections, &mut signals, plan.grace_period).await;
        }
        tracing::info!("Stopped");
        Ok(())
    });
    // Whoever has not finished by now has had the grace period.
    runtime.shutdown_background();
    result
}

struct Listeners {
    web: Vec<Bound>,
    telemetry: Vec<Bound>,
}

/// Wait for the requests that run; SIGINT or a second SIGTERM ends the wait.
async fn drain(connections: &TaskTracker, signals: &mut Signals, grace_period: Duration) {
    connections.close();
    tracing::info!(connections = connections.len(), "Stopping, finishing what runs");
    tokio::select! {
        () = connections.wait() => {}
        () = signals.stop_now() => {}
        () = tokio::time::sleep(grace_period) => {
            tracing::warn!(connections = connections.len(), "Grace period over, closing what still runs");
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Reload on SIGHUP until it is time to stop; whether to drain.
    async fn wait(&mut self, reload: &ReloadHandle) -> bool {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    tracing::info!(signal = "SIGTERM", "Received a signal");
                    return true;
                }
                _ = self.interrupt.recv() => {
                    tracing::info!(signal = "SIGINT", "Received a signal");
                    return false;
                }
                _ = self.hangup.recv() => {
                    let reload = reload.clone();
                    // The log says how it went.
                    tokio::spawn(async move { drop(reload.request().await) });
                }
            }
        }
    }

    async fn stop_now(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Whether a listener does TLS.
#[derive(Clone, Copy)]
enum Tls {
    Off,
    /// When the configuration in force at accept says so.
    BySnapshot,
}

/// What every listener shares.
#[derive(Clone)]
struct Service {
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    handshakes_logged: Arc<Throttle>,
    connections: TaskTracker,
    stopping: watch::Receiver<bool>,
}

impl Service {
    /// Accept on every listener for as long as the returned set lives.
    fn start(
        &self,
        listeners: Listeners,
        engine: &Arc<Engine>,
        reload: &ReloadHandle,
    ) -> Result<JoinSet<()>, String> {
        let endpoints = Arc::new(Endpoints {
            metrics: Arc::clone(&self.metrics),
            current: Arc::clone(&self.current),
            reload: reload.clone(),
        });
        let mut accepting = JoinSet::new();
        for bound in listeners.telemetry {
            let listener = self.announce(bound, "telemetry")?;
            accepting.spawn(self.clone().accept(listener, Arc::clone(&endpoints), Tls::Off));
        }
        for bound in listeners.web {
            let listener = self.announce(bound, "web")?;
            accepting.spawn(self.clone().accept(listener, Arc::clone(engine), Tls::BySnapshot));
        }
        Ok(accepting)
    }

    fn announce(&self, bound: Bound, name: &'static str) -> Result<Listener, String> {
        let snapshot = self.current.load();
        let web = name == "web";
        tracing::info!(
            listener = name,
            address = bound.address,
            tls = web && snapshot.tls.is_some(),
            http2 = web && snapshot.http2(),
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
            let connection = self.clone().connection(socket, address, Arc::clone(&app), tls);
            self.connections.spawn(connection);
        }
    }

    /// One connection, from the first byte to the last, under the configuration at its accept.
    async fn connection<A>(
        self,
        socket: AcceptedSocket,
        address: Option<SocketAddr>,
        app: Arc<A>,
        tls: Tls,
    ) where
        A: HttpServerApp + Send + Sync + 'static,
    {
        let _open = self.metrics.connection_opened();
        let snapshot = self.current.load_full();
        let acceptor = match tls {
            Tls::Off => None,
            Tls::BySnapshot => snapshot.tls.as_ref().map(|tls| tls.acceptor.clone()),
        };
        let limits = snapshot.limits().clone();
        drop(snapshot);
        let io = SocketIo::new(socket);
        let deadline = Arc::clone(&io.deadline);
        let peer = Arc::new(Peer::new(address, acceptor.is_some(), Arc::clone(&deadline)));
        deadline.arm(limits.handshake_timeout);
        let mut stopping = self.stopping.clone();
        let transport = tokio::select! {
            // Boxed: its space is given back before the connection begins to wait.
            transport = Box::pin(handshake::establish(io, acceptor.as_ref())) => transport,
            // Nothing was asked for yet.
            _ = stopping.wait_for(|stop| *stop) => return,
        };
        match transport {
            Ok(transport) => {
                deadline.arm(limits.header_timeout);
                connection::serve(&app, transport, peer, &limits, &self.stopping).await;
            }
            Err(error) => self.handshake_failed(&error, &peer),
        }
    }

    fn handshake_failed(&self, error: &HandshakeError, peer: &Peer) {
        self.metrics.handshake_failed();
        let (kind, reason) = match error {
            // Health checks and port scans: no news.
            HandshakeError::Silent => return,
            HandshakeError::HttpOnTlsPort => ("http on tls port", "HTTP request to an HTTPS port"),
            HandshakeError::TlsOnPlainPort => ("tls on plain port", "TLS on a plaintext port"),
            HandshakeError::Tls(reason) => ("tls", reason.as_str()),
        };
        if let Some(suppressed) = self.handshakes_logged.admit(kind) {
            tracing::warn!(reason, remote = %peer, suppressed, "Handshake failed");
        }
    }
}
