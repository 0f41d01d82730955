//! The composition root: puts threads, listeners, signals and the child together.

mod free_memory;
mod listeners;
mod shutdown;
mod threads;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold;
use tokio::sync::watch;

use crate::admin::AdminApp;
use crate::auth::KnownNetworks;
use crate::child::{ChildCommand, Supervisor};
use crate::config::Upstream;
use crate::connection::accept::Connections;
use crate::connection::{Bound, SocketFile};
use crate::handover::{Handover, Offer};
use crate::observe::access_log::AccessLogMode;
use crate::observe::{self, Metrics};
use crate::os::sandbox::{Connect, SandboxPolicy};
use crate::os::signals::Signals;
use crate::os::{descriptors, systemd};
use crate::proxy::{self, Guard};
use crate::snapshot::reload::Initial;
use crate::snapshot::{Current, Snapshot};
use crate::upstream::Readiness;
use listeners::Listeners;
use shutdown::{ShutdownReason, shut_down, wait_for_shutdown};
use threads::{StartError, Threads};

/// The time that the last log lines may take to be written: standard error may be a pipe that nobody reads.
const LOG_FLUSH_TIMEOUT: Duration = Duration::from_millis(500);

/// The validated settings, sockets and configuration of a start.
pub struct Plan {
    /// The sockets of `--web.listen-address`.
    pub listeners: Vec<Bound>,
    /// The sockets of `--telemetry.listen-address`.
    pub telemetry: Vec<Bound>,
    /// `--upstream`.
    pub upstream: Upstream,
    /// The command of the exporter, when the guard runs it.
    pub command: Option<ChildCommand>,
    /// The handover of sockets from a predecessor and to a successor.
    pub handover: Option<Handover>,
    /// `--shutdown.grace-period`.
    pub grace_period: Duration,
    /// Runs the threads in the sandbox.
    pub sandbox: bool,
    /// `--log.access`.
    pub access_log: AccessLogMode,
    /// The initial configuration.
    pub snapshot: Snapshot,
    /// The files of the initial configuration.
    pub initial: Initial,
}

/// A reason why a guard cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A thread cannot be started.
    #[error(transparent)]
    Threads(#[from] StartError),
    /// Signals cannot be received.
    #[error("cannot handle signals: {0}")]
    Signals(#[source] io::Error),
    /// The HTTP engine cannot be built.
    #[error("cannot build the HTTP engine: {0}")]
    Engine(#[source] io::Error),
    /// A socket cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(#[source] io::Error),
}

/// Serves until a signal stops the guard, a successor has taken over or the child has ended, and
/// returns the exit code.
///
/// # Errors
///
/// Returns the reason why the guard cannot serve.
pub fn run(mut plan: Plan) -> Result<u8, ServerError> {
    // pingora's timers run on tokio's timer wheel, since its own timer thread wakes 100 times a
    // second.
    set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
    if let Err(error) = descriptors::raise_limit() {
        tracing::warn!(err = %error, "Failed to raise the limit of open files");
    }
    let metrics = Arc::new(Metrics::default());
    metrics.config_loaded(plan.snapshot.inventory(&plan.initial.listeners));
    let current = Arc::new(Current::from_pointee(plan.snapshot));
    let known_networks = Arc::new(KnownNetworks::default());
    let guard = Guard::new(
        Arc::clone(&current),
        Arc::clone(&metrics),
        Arc::clone(&known_networks),
        plan.access_log,
    );
    // The engine is built before the other threads start, since that changes the environment.
    let engine = proxy::engine(guard).map_err(ServerError::Engine)?;
    let bound = plan.listeners.iter_mut().chain(&mut plan.telemetry);
    let mut files: Vec<SocketFile> = bound.filter_map(Bound::take_file).collect();
    let (mut offer, predecessor) =
        plan.handover.map(|handover| (handover.offer, handover.predecessor)).unzip();
    files.extend(offer.as_mut().and_then(Offer::take_file));
    let threads = threads::Start {
        initial: plan.initial,
        current: Arc::clone(&current),
        metrics: Arc::clone(&metrics),
        sandbox: plan.sandbox.then(|| {
            let connect = match current.load().config.proxy.lists_routes() {
                true => Connect::Anywhere,
                false => connect_to(&plan.upstream),
            };
            SandboxPolicy::new(connect, files.iter().map(SocketFile::path))
        }),
        main_outside: plan.command.is_some(),
    };
    let Threads { reloader, runtime, handshakes } = threads.start()?;
    let (stop, stopping) = watch::channel(false);
    let readiness = Arc::new(Readiness::default());
    let connections = Connections::new(
        Arc::clone(&current),
        Arc::clone(&metrics),
        Arc::clone(&handshakes),
        known_networks,
        stopping,
    );
    let web = plan.listeners.iter();
    let web_addresses = web.map(|bound| (bound.name.clone(), bound.address.clone())).collect();
    let listeners = Listeners { web: plan.listeners, telemetry: plan.telemetry };
    let reload = reloader.handle();
    let endpoints = AdminApp {
        metrics: Arc::clone(&metrics),
        current: Arc::clone(&current),
        reload: reload.clone(),
        readiness: Arc::clone(&readiness),
        listeners: web_addresses,
    };
    let result = runtime.block_on(async {
        let mut signals = Signals::new(plan.command.is_some()).map_err(ServerError::Signals)?;
        let mut child =
            Supervisor::new(plan.command, plan.upstream, Arc::clone(&readiness), metrics)
                .map_err(ServerError::Signals)?;
        // The sockets listen already, so that clients that connect from now on get an answer.
        if !child.has_command() {
            readiness.set(true);
        }
        let mut accepting = listeners
            .start(&connections, &current.load(), &engine, endpoints)
            .map_err(ServerError::Listen)?;
        tokio::spawn(systemd::watchdog());
        tokio::spawn(free_memory::watch(connections.budget()));
        if let Some(predecessor) = predecessor.flatten()
            && let Err(error) = predecessor.release(&mut files)
        {
            tracing::warn!(err = %error, "Failed to notify the predecessor");
        }
        let reason = match child.start() {
            Ok(()) => wait_for_shutdown(&mut signals, &mut child, &reload, offer.as_ref()).await,
            Err(code) => ShutdownReason::ChildEnded(code),
        };
        systemd::stopping();
        if matches!(reason, ShutdownReason::Succeeded) {
            files.iter_mut().for_each(SocketFile::give_away);
        }
        accepting.shutdown().await;
        drop((files, offer));
        // Sending fails when no receiver is left, since every connection has ended.
        let _ = stop.send(true);
        let code =
            shut_down(reason, connections.tasks(), &mut signals, &mut child, plan.grace_period);
        let code = code.await;
        tracing::info!("Stopped");
        Ok(code)
    });
    // Tasks that still run have had the grace period.
    handshakes.stop();
    runtime.shutdown_background();
    observe::flush_log(LOG_FLUSH_TIMEOUT);
    result
}

/// Returns the ports that the threads of a guard with one upstream connect to.
fn connect_to(upstream: &Upstream) -> Connect {
    match upstream {
        Upstream::Http { host, port } | Upstream::Https { host, port } => {
            match host.parse::<std::net::IpAddr>() {
                Ok(_) => Connect::Port(*port),
                Err(_) => Connect::PortOfName(*port),
            }
        }
        Upstream::Unix(_) | Upstream::Own => Connect::Nowhere,
    }
}
