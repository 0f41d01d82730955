//! The listeners and the application that answers on each.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::admin::AdminApp;
use crate::connection::accept::{Connections, Protocol};
use crate::connection::{Bound, Listener};
use crate::proxy::Engine;
use crate::snapshot::Snapshot;

/// The bound sockets of a guard.
pub struct Listeners {
    /// The sockets of `--web.listen-address`.
    pub web: Vec<Bound>,
    /// The sockets of `--telemetry.listen-address`.
    pub telemetry: Vec<Bound>,
}

impl Listeners {
    /// Accepts connections on every listener until the returned set is dropped.
    ///
    /// # Errors
    ///
    /// Returns an error when a socket cannot be registered with the runtime.
    pub fn start(
        self,
        connections: &Connections,
        snapshot: &Snapshot,
        engine: &Arc<Engine>,
        endpoints: AdminApp,
    ) -> std::io::Result<JoinSet<()>> {
        let endpoints = Arc::new(endpoints);
        let mut accepting = JoinSet::new();
        // Metrics and health must stay reachable while the web listeners are flooded.
        let telemetry = connections.with_own_limits();
        for bound in self.telemetry {
            let listener = listen(bound, "telemetry", false, false)?;
            let app = Arc::clone(&endpoints);
            accepting.spawn(telemetry.clone().accept(listener, app, Protocol::Plaintext));
        }
        for bound in self.web {
            let tls = snapshot.tls(&bound.name).is_some();
            let listener = listen(bound, "web", tls, tls && snapshot.http2())?;
            let app = Arc::clone(engine);
            accepting.spawn(connections.clone().accept(listener, app, Protocol::Configured));
        }
        Ok(accepting)
    }
}

/// Logs the address of a socket, and listens on it.
fn listen(
    bound: Bound,
    listener: &'static str,
    tls: bool,
    http2: bool,
) -> std::io::Result<Listener> {
    tracing::info!(listener, address = bound.address, tls, http2, "Listening on");
    bound.listen()
}
