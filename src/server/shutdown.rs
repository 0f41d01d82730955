//! The end of a guard: what runs may finish, then the child ends, then the guard.

use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use crate::child::Supervisor;
use crate::handover::Offer;
use crate::os::signals::{self, Signals};
use crate::os::systemd;
use crate::snapshot::reload::ReloadHandle;

/// The share of the grace period that running requests get when the child needs the rest.
const DRAIN_SHARE: f64 = 0.75;

/// How long requests may take to finish when the child has ended by itself: there is nothing left to
/// ask, but answers of 502 may still be on their way.
const CHILD_ENDED_GRACE: Duration = Duration::from_millis(500);

/// The reason why the guard stops.
pub enum ShutdownReason {
    /// SIGTERM: what runs may finish.
    Terminated,
    /// A successor serves: what runs is finished here.
    Succeeded,
    /// SIGINT: stop at once.
    Interrupted,
    /// The child has ended, or could not be started; with its exit code.
    ChildEnded(u8),
}

/// Reloads and passes signals on to the child until there is a reason to stop.
pub async fn wait_for_shutdown(
    signals: &mut Signals,
    child: &mut Supervisor,
    reload: &ReloadHandle,
    offer: Option<&Offer>,
) -> ShutdownReason {
    let mut succeeded = std::pin::pin!(succeeded(offer));
    loop {
        let received = tokio::select! {
            received = signals.next() => received,
            code = child.run() => return ShutdownReason::ChildEnded(code),
            () = &mut succeeded => return ShutdownReason::Succeeded,
        };
        tracing::info!(signal = signals::name(received), "Received a signal");
        match received {
            signals::TERMINATE => return ShutdownReason::Terminated,
            signals::INTERRUPT => return ShutdownReason::Interrupted,
            signals::HANGUP => {
                tokio::spawn(reload_and_notify(reload.clone()));
            }
            _ => {}
        }
        child.forward(received);
    }
}

/// Reloads, and tells the service manager how it went.
async fn reload_and_notify(reload: ReloadHandle) {
    systemd::reloading();
    match reload.request().await {
        Ok(()) => systemd::ready("Serving"),
        // The log names the reason.
        Err(_) => systemd::ready("Reload failed, serving by the last good configuration"),
    }
}

/// Waits until a successor serves; for ever when there is no socket that one could connect to.
async fn succeeded(offer: Option<&Offer>) {
    if let Some(offer) = offer {
        match offer.taken().await {
            Ok(()) => return,
            Err(error) => tracing::error!(err = %error, "Failed to offer the sockets"),
        }
    }
    std::future::pending().await
}

/// Waits for running requests, ends the child, all within the grace period, and returns the exit code.
pub async fn shut_down(
    reason: ShutdownReason,
    connections: &TaskTracker,
    signals: &mut Signals,
    child: &mut Supervisor,
    grace_period: Duration,
) -> u8 {
    let end = Instant::now() + grace_period;
    match reason {
        ShutdownReason::Terminated | ShutdownReason::Succeeded => {
            // Requests need their exporter until they have finished.
            let share = if child.has_command() { DRAIN_SHARE } else { 1.0 };
            drain(connections, signals, grace_period.mul_f64(share)).await;
            child.stop(signals::TERMINATE, end, signals.urged()).await
        }
        ShutdownReason::Interrupted => child.stop(signals::INTERRUPT, end, signals.urged()).await,
        ShutdownReason::ChildEnded(code) => {
            drain(connections, signals, grace_period.min(CHILD_ENDED_GRACE)).await;
            code
        }
    }
}

/// Waits for the requests that run; SIGINT or a second SIGTERM ends the wait.
async fn drain(connections: &TaskTracker, signals: &mut Signals, limit: Duration) {
    connections.close();
    tracing::info!(connections = connections.len(), "Stopping, finishing what runs");
    tokio::select! {
        () = connections.wait() => {}
        () = signals.urged() => {}
        () = tokio::time::sleep(limit) => {
            tracing::warn!(
                connections = connections.len(),
                "Grace period over, closing what still runs"
            );
        }
    }
}
