//! Health checks of exporters that could not be reached.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::Endpoint;
use crate::config::Upstream;

/// The time between two attempts to connect to a replica that is down.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// The time that one attempt may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Tries to connect until the upstream accepts, or until no configuration has it any more. Replicas
/// that are up are not probed.
pub async fn watch(endpoint: Weak<Endpoint>) {
    loop {
        tokio::time::sleep(PROBE_INTERVAL).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        let attempt = tokio::time::timeout(CONNECT_TIMEOUT, accepts_connections(&endpoint));
        if matches!(attempt.await, Ok(true)) {
            tracing::info!(upstream = %endpoint, "Upstream is back");
            endpoint.up();
            return;
        }
    }
}

async fn accepts_connections(endpoint: &Arc<Endpoint>) -> bool {
    match endpoint.upstream() {
        Upstream::Http { host, port } | Upstream::Https { host, port } => {
            TcpStream::connect((host.as_str(), *port)).await.is_ok()
        }
        Upstream::Unix(path) => UnixStream::connect(path).await.is_ok(),
        Upstream::Own => true,
    }
}
