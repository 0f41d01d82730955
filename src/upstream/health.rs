//! Whether an exporter that could not be reached can be reached again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::Endpoint;
use crate::config::Upstream;

/// Between two attempts to connect to a replica that is down.
const INTERVAL: Duration = Duration::from_secs(5);
/// For one attempt.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Try until it accepts connections, or until no configuration has it any more. Nothing is asked
/// of replicas that are up.
pub async fn watch(endpoint: Weak<Endpoint>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(endpoint) = endpoint.upgrade() else { return };
        let attempt = tokio::time::timeout(CONNECT_TIMEOUT, accepts(&endpoint));
        if matches!(attempt.await, Ok(true)) {
            tracing::info!(upstream = %endpoint, "Upstream is back");
            endpoint.up();
            return;
        }
    }
}

async fn accepts(endpoint: &Arc<Endpoint>) -> bool {
    match endpoint.upstream() {
        Upstream::Http { host, port } | Upstream::Https { host, port } => {
            TcpStream::connect((host.as_str(), *port)).await.is_ok()
        }
        Upstream::Unix(path) => UnixStream::connect(path).await.is_ok(),
        Upstream::Own => true,
    }
}
