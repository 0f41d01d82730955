//! The shutdown: running requests may finish, then the child is stopped, then the guard exits.

use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use crate::child::Supervisor;
use crate::handover::Offer;
use crate::os::signals::{self, Signals};
use crate::os::systemd;
use crate::snapshot::reload::ReloadHandle;

/// The share of the grace period that running requests get when the child needs the rest.
const DRAIN_SHARE: f64 = 0.75;

/// The time that requests may take to finish when the child has ended by itself: the exporter answers no
/// more, but 502 answers may still be on their way.
const CHILD_ENDED_GRACE: Duration = Duration::from_millis(500);

/// The reason why the guard stops.
pub enum ShutdownReason {
    /// SIGTERM: running requests may finish.
    Terminated,
    /// A successor serves: running requests are finished here.
    Succeeded,
    /// SIGINT: the guard stops at once.
    Interrupted,
    /// The child has ended or could not be started; the exit code of the guard.
    ChildEnded(u8),
}

/// Reloads on SIGHUP, and forwards signals to the child, until there is a reason to stop.
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

/// Reloads, and notifies the service manager of the result.
async fn reload_and_notify(reload: ReloadHandle) {
    systemd::reloading();
    match reload.request().await {
        Ok(()) => systemd::ready("Serving"),
        // The reloader logs the reason.
        Err(_) => systemd::ready("Reload failed, serving by the last good configuration"),
    }
}

/// Waits until a successor serves; for ever without a socket for successors.
async fn succeeded(offer: Option<&Offer>) {
    if let Some(offer) = offer {
        match offer.wait_for_successor().await {
            Ok(()) => return,
            Err(error) => tracing::error!(err = %error, "Failed to offer the sockets"),
        }
    }
    std::future::pending().await
}

/// Drains connections and stops the child, within the grace period, and returns the exit code.
pub async fn shut_down(
    reason: ShutdownReason,
    connections: &TaskTracker,
    signals: &mut Signals,
    child: &mut Supervisor,
    grace_period: Duration,
) -> u8 {
    let deadline = Instant::now() + grace_period;
    match reason {
        ShutdownReason::Terminated | ShutdownReason::Succeeded => {
            // The child keeps running meanwhile, since running requests need its answers.
            let share = if child.has_command() { DRAIN_SHARE } else { 1.0 };
            drain(connections, signals, grace_period.mul_f64(share)).await;
            child.stop(signals::TERMINATE, deadline, signals.next_stop_signal()).await
        }
        ShutdownReason::Interrupted => {
            child.stop(signals::INTERRUPT, deadline, signals.next_stop_signal()).await
        }
        ShutdownReason::ChildEnded(code) => {
            drain(connections, signals, grace_period.min(CHILD_ENDED_GRACE)).await;
            code
        }
    }
}

/// Waits up to `limit` for running requests; SIGINT or another SIGTERM ends the wait.
async fn drain(connections: &TaskTracker, signals: &mut Signals, limit: Duration) {
    connections.close();
    tracing::info!(connections = connections.len(), "Stopping, finishing running requests");
    tokio::select! {
        () = connections.wait() => {}
        () = signals.next_stop_signal() => {}
        () = tokio::time::sleep(limit) => {
            tracing::warn!(
                connections = connections.len(),
                "The grace period is over, closing the remaining connections"
            );
        }
    }
}
