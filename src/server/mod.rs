//! The composition root: puts threads, listeners, signals and the child together.

mod accept;
mod ending;
mod handshakes;
mod threads;

use std::sync::Arc;
use std::time::Duration;

use pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold;
use tokio::sync::watch;

use crate::child::{ChildCommand, Readiness, Supervisor};
use crate::metrics::Metrics;
use crate::net::{Bound, SocketFile};
use crate::process::descriptors;
use crate::process::sandbox::Reach;
use crate::proxy::{self, Guard};
use crate::reload::Initial;
use crate::signals::Signals;
use crate::snapshot::{Current, Snapshot};
use crate::systemd;
use crate::upgrade::{Offer, Upgrade};
use crate::upstream::Upstream;
use accept::{Listeners, Service};
use ending::{Ending, end, until_told};
use threads::Threads;

/// What a start needs, all of it validated.
pub struct Plan {
    pub listeners: Vec<Bound>,
    pub telemetry: Vec<Bound>,
    pub upstream: Upstream,
    /// The exporter's own command, when the guard runs it.
    pub command: Option<ChildCommand>,
    pub upgrade: Option<Upgrade>,
    pub grace_period: Duration,
    pub sandbox: bool,
    pub snapshot: Snapshot,
    pub initial: Initial,
}

/// Run until a signal says stop, or the child has ended. The exit code.
pub fn run(mut plan: Plan) -> Result<u8, String> {
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
    let bound = plan.listeners.iter_mut().chain(&mut plan.telemetry);
    let mut files: Vec<SocketFile> = bound.filter_map(Bound::take_file).collect();
    let (mut offer, predecessor) =
        plan.upgrade.map(|upgrade| (upgrade.offer, upgrade.predecessor)).unzip();
    files.extend(offer.as_mut().and_then(Offer::take_file));
    let sockets = files.iter().map(SocketFile::path);
    let threads = threads::Start {
        initial: plan.initial,
        current: Arc::clone(&current),
        metrics: Arc::clone(&metrics),
        reach: plan.sandbox.then(|| {
            let only = current.load().routes.is_none().then_some(&plan.upstream);
            Reach::new(only, sockets)
        }),
        main_outside: plan.command.is_some(),
    };
    let Threads { reloader, runtime, handshakes } = threads.start()?;
    let (stop, stopping) = watch::channel(false);
    let readiness = Arc::new(Readiness::default());
    let service = Service::new(
        current,
        Arc::clone(&metrics),
        Arc::clone(&readiness),
        Arc::clone(&handshakes),
        stopping,
    );
    let listeners = Listeners { web: plan.listeners, telemetry: plan.telemetry };
    let reload = reloader.handle();
    let result = runtime.block_on(async {
        let cannot = |error: std::io::Error| format!("cannot handle signals: {error}");
        let mut signals = Signals::new(plan.command.is_some()).map_err(cannot)?;
        let mut child =
            Supervisor::new(plan.command, plan.upstream, Arc::clone(&readiness), metrics)
                .map_err(cannot)?;
        // The sockets listen: whoever asks from now on is answered.
        if !child.has_command() {
            readiness.set(true);
        }
        let mut accepting = service.start(listeners, &engine, &reload)?;
        tokio::spawn(systemd::watchdog());
        if let Some(predecessor) = predecessor.flatten()
            && let Err(error) = predecessor.relieve(&mut files)
        {
            tracing::warn!(err = %error, "The predecessor does not hear that it may end");
        }
        let ending = match child.start() {
            Ok(()) => until_told(&mut signals, &mut child, &reload, offer.as_ref()).await,
            Err(code) => Ending::Child(code),
        };
        systemd::stopping();
        if matches!(ending, Ending::Succeeded) {
            files.iter_mut().for_each(SocketFile::give_away);
        }
        accepting.shutdown().await;
        drop((files, offer));
        // Nobody listens only when every connection is gone.
        let _ = stop.send(true);
        let code = end(ending, service.connections(), &mut signals, &mut child, plan.grace_period);
        let code = code.await;
        tracing::info!("Stopped");
        Ok(code)
    });
    // Whoever has not finished by now has had the grace period.
    handshakes.stop();
    runtime.shutdown_background();
    result
}
