//! The composition root: runtime, listeners, signals, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pingora::apps::HttpServerApp;
use pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;

use crate::child::{ChildCommand, Readiness, Supervisor};
use crate::config::Limits;
use crate::metrics::Metrics;
use crate::net::admission::{Admission, Full, Place, Room};
use crate::net::handshake::{self, HandshakeError};
use crate::net::listener::AcceptedSocket;
use crate::net::{Bound, Listener, Peer, SocketIo, connection};
use crate::process::descriptors;
use crate::proxy::{self, Engine, Guard, Upstream};
use crate::reload::{Initial, ReloadHandle, Reloader};
use crate::signals::{self, Signals};
use crate::snapshot::{Current, Snapshot};
use crate::source::Source;
use crate::telemetry::{Endpoints, Throttle};

/// What a start needs, all of it validated.
pub struct Plan {
    pub listeners: Vec<Bound>,
    pub telemetry: Vec<Bound>,
    pub upstream: Upstream,
    /// The exporter's own command, when the guard runs it.
    pub command: Option<ChildCommand>,
    pub grace_period: Duration,
    pub snapshot: Snapshot,
    pub initial: Initial,
}

/// How much of the grace period running requests get when the child needs the rest.
const DRAIN_SHARE: f64 = 0.75;

/// When the child ended by itself there is nothing left to ask; 502s may still be on their way.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Run until a signal says stop, or the child has ended. The exit code.
pub fn run(plan: Plan) -> Result<u8, String> {
    // Sends pingora's timers to tokio's wheel: its own timer thread wakes 100 times a second.
    set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    descriptors::raise_limit()
        .map_err(|error| format!("cannot raise the limit of open files: {error}"))?;
    let metrics = Arc::new(Metrics::default());
    let expiry = plan.snapshot.certificate_expiry().map(|expiry| expiry.unix_seconds);
    metrics.config_loaded(plan.snapshot.generation, expiry);
    let current = Arc::new(Current::from_pointee(plan.snapshot));
    let guard = Guard::new(Arc::clone(&current), plan.upstream.clone(), Arc::clone(&metrics));
    // SAFETY: nothing has started a thread yet; the reloader and the runtime below are the first.
    let engine = unsafe { proxy::engine(guard) };
    let reloader = Reloader::start(plan.initial, Arc::clone(&current), Arc::clone(&metrics))
        .map_err(|error| format!("cannot start the reload thread: {error}"))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let (stop, stopping) = watch::channel(false);
    let readiness = Arc::new(Readiness::new(plan.command.is_none()));
    let service = Service {
        current,
        metrics: Arc::clone(&metrics),
        readiness: Arc::clone(&readiness),
        handshakes_logged: Arc::default(),
        refusals_logged: Arc::default(),
        admission: Arc::default(),
        affordable: descriptors::connections(),
        connections: TaskTracker::new(),
        stopping,
    };
    let listeners = Listeners { web: plan.listeners, telemetry: plan.telemetry };
    let reload = reloader.handle();
    let result = runtime.block_on(async {
        let cannot = |error: std::io::Error| format!("cannot handle signals: {error}");
        let mut signals = Signals::new(plan.command.is_some()).map_err(cannot)?;
        let mut child =
            Supervisor::new(plan.command, plan.upstream, readiness, metrics).map_err(cannot)?;
        let accepting = service.start(listeners, &engine, &reload)?;
        let ending = match child.start() {
            Ok(()) => until_told(&mut signals, &mut child, &reload).await,
            Err(code) => Ending::Child(code),
        };
        // Dropping the listeners closes them.
        drop(accepting);
        // Nobody listens only when every connection is gone.
        let _ = stop.send(true);
        let code = end(ending, &service.connections, &mut signals, &mut child, plan.grace_period);
        let code = code.await;
        tracing::info!("Stopped");
        Ok(code)
    });
    // Whoever has not finished by now has had the grace period.
    runtime.shutdown_background();
    result
}

struct Listeners {
    web: Vec<Bound>,
    telemetry: Vec<Bound>,
}

/// Why the guard ends.
enum Ending {
    /// Told to, and to finish what runs.
    Graceful,
    /// Told to, at once.
    AtOnce,
    /// The child ended, or could not be started.
    Child(u8),
}

/// Reload and pass signals on until there is reason to end.
async fn until_told(
    signals: &mut Signals,
    child: &mut Supervisor,
    reload: &ReloadHandle,
) -> Ending {
    loop {
        let received = tokio::select! {
            received = signals.next() => received,
            code = child.run() => return Ending::Child(code),
        };
        tracing::info!(signal = signals::name(received), "Received a signal");
        match received {
            signals::TERMINATE => return Ending::Graceful,
            signals::INTERRUPT => return Ending::AtOnce,
            signals::HANGUP => {
                let reload = reload.clone();
                // The log says how it went.
                tokio::spawn(async move { drop(reload.request().await) });
            }
            _ => {}
        }
        child.forward(received);
    }
}

/// Finish what runs and end the child, all within the grace period. The exit code.
async fn end(
    ending: Ending,
    connections: &TaskTracker,
    signals: &mut Signals,
    child: &mut Supervisor,
    grace_period: Duration,
) -> u8 {
    let end = Instant::now() + grace_period;
    match ending {
        Ending::Graceful => {
            // Requests need their exporter to the end; it keeps a part of the time for its own.
            let share = if child.has_command() { DRAIN_SHARE } else { 1.0 };
            drain(connections, signals, grace_period.mul_f64(share)).await;
            child.stop(signals::TERMINATE, end, signals.urged()).await
        }
        Ending::AtOnce => child.stop(signals::INTERRUPT, end, signals.urged()).await,
        Ending::Child(code) => {
            drain(connections, signals, grace_period.min(LAST_ANSWERS)).await;
            code
        }
    }
}

/// Wait for the requests that run; SIGINT or a second SIGTERM ends the wait.
async fn drain(connections: &TaskTracker, signals: &mut Signals, limit: Duration) {
    connections.close();
    tracing::info!(connections = connections.len(), "Stopping, finishing what runs");
    tokio::select! {
        () = connections.wait() => {}
        () = signals.urged() => {}
        () = tokio::time::sleep(limit) => {
            tracing::warn!(connections = connections.len(), "Grace period over, closing what still runs");
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

/// Who was accepted, with the place it takes.
struct Client {
    socket: AcceptedSocket,
    address: Option<SocketAddr>,
    _place: Place,
}

/// What every listener shares.
#[derive(Clone)]
struct Service {
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    handshakes_logged: Arc<Throttle>,
    refusals_logged: Arc<Throttle>,
    admission: Arc<Admission>,
    /// Connections that there are descriptors for.
    affordable: usize,
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
            let snapshot = self.current.load_full();
            match self.admission.admit(Source::of(address), self.room(snapshot.limits())) {
                Ok(place) => {
                    let client = Client { socket, address, _place: place };
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
        let Client { socket, address, _place } = client;
        let acceptor = match tls {
            Tls::Off => None,
            Tls::BySnapshot => snapshot.tls.as_ref().map(|tls| tls.acceptor.clone()),
        };
        let demanded = acceptor.as_ref().map(|_| snapshot.client_certificate());
        let limits = snapshot.limits().clone();
        drop(snapshot);
        let io = SocketIo::new(socket, limits.write_timeout);
        let deadline = Arc::clone(&io.deadline);
        let peer = Arc::new(Peer::new(address, demanded, Arc::clone(&deadline)));
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

    /// What is configured, as far as there are descriptors for it.
    fn room(&self, limits: &Limits) -> Room {
        Room {
            total: limits.max_connections.min(self.affordable),
            per_source: limits.max_connections_per_address,
        }
    }

    fn connection_refused(&self, full: Full, address: Option<SocketAddr>) {
        self.metrics.connection_refused(full.reason());
        if let Some(suppressed) = self.refusals_logged.admit(full.reason()) {
            let remote = address.map(|address| address.to_string()).unwrap_or_default();
            tracing::warn!(reason = full.reason(), remote, suppressed, "Connection refused");
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
