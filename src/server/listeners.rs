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
    /// Of `--web.listen-address`.
    pub web: Vec<Bound>,
    /// Of `--telemetry.listen-address`.
    pub telemetry: Vec<Bound>,
}

impl Listeners {
    /// Accepts on every listener for as long as the returned set lives.
    ///
    /// # Errors
    ///
    /// Returns the reason when the runtime does not take a socket.
    pub fn start(
        self,
        connections: &Connections,
        snapshot: &Snapshot,
        engine: &Arc<Engine>,
        endpoints: AdminApp,
    ) -> std::io::Result<JoinSet<()>> {
        let endpoints = Arc::new(endpoints);
        let mut accepting = JoinSet::new();
        // A flood on the web listeners must not hide what the guard says about it.
        let telemetry = connections.with_own_limits();
        for bound in self.telemetry {
            let listener = announce(bound, "telemetry", false, false)?;
            let app = Arc::clone(&endpoints);
            accepting.spawn(telemetry.clone().accept(listener, app, Protocol::Plaintext));
        }
        for bound in self.web {
            let tls = snapshot.tls(&bound.name).is_some();
            let listener = announce(bound, "web", tls, tls && snapshot.http2())?;
            let app = Arc::clone(engine);
            accepting.spawn(connections.clone().accept(listener, app, Protocol::Configured));
        }
        Ok(accepting)
    }
}

fn announce(
    bound: Bound,
    listener: &'static str,
    tls: bool,
    http2: bool,
) -> std::io::Result<Listener> {
    tracing::info!(listener, address = bound.address, tls, http2, "Listening on");
    bound.listen()
}
