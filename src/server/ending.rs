//! When the guard ends, and how: what runs may finish, then the child, then the guard.

use std::time::{Duration, Instant};

use tokio_util::task::TaskTracker;

use crate::child::Supervisor;
use crate::reload::ReloadHandle;
use crate::signals::{self, Signals};
use crate::systemd;
use crate::upgrade::Offer;

/// How much of the grace period running requests get when the child needs the rest.
const DRAIN_SHARE: f64 = 0.75;

/// When the child ended by itself there is nothing left to ask; 502s may still be on their way.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Why the guard ends.
pub enum Ending {
    /// Told to, and to finish what runs.
    Graceful,
    /// A successor serves; what runs is finished here.
    Succeeded,
    /// Told to, at once.
    AtOnce,
    /// The child ended, or could not be started.
    Child(u8),
}

/// Reload and pass signals on until there is reason to end.
pub async fn until_told(
    signals: &mut Signals,
    child: &mut Supervisor,
    reload: &ReloadHandle,
    offer: Option<&Offer>,
) -> Ending {
    let mut succeeded = std::pin::pin!(succeeded(offer));
    loop {
        let received = tokio::select! {
            received = signals.next() => received,
            code = child.run() => return Ending::Child(code),
            () = &mut succeeded => return Ending::Succeeded,
        };
        tracing::info!(signal = signals::name(received), "Received a signal");
        match received {
            signals::TERMINATE => return Ending::Graceful,
            signals::INTERRUPT => return Ending::AtOnce,
            signals::HANGUP => {
                let reload = reload.clone();
                tokio::spawn(async move {
                    systemd::reloading();
                    // The log says more.
                    match reload.request().await {
                        Ok(()) => systemd::ready("Serving"),
                        Err(_) => {
                            systemd::ready("Reload failed, serving by the last good configuration")
                        }
                    }
                });
            }
            _ => {}
        }
        child.forward(received);
    }
}

/// Wait until a successor serves.
async fn succeeded(offer: Option<&Offer>) {
    if let Some(offer) = offer {
        match offer.taken().await {
            Ok(()) => return,
            Err(error) => tracing::error!(err = %error, "Cannot offer the sockets any more"),
        }
    }
    std::future::pending().await
}

/// Finish what runs and end the child, all within the grace period. The exit code.
pub async fn end(
    ending: Ending,
    connections: &TaskTracker,
    signals: &mut Signals,
    child: &mut Supervisor,
    grace_period: Duration,
) -> u8 {
    let end = Instant::now() + grace_period;
    match ending {
        Ending::Graceful | Ending::Succeeded => {
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
