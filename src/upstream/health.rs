//! Whether an exporter that could not be reached can be reached again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};

use super::Endpoint;
use crate::config::Upstream;

/// Between two attempts to connect to a replica that is down.
const INTERVAL: Duration = Duration::from_secs(5);
/// For one attempt.
const PATIENCE: Duration = Duration::from_secs(2);

/// Try until it accepts connections, or until no configuration has it any more. Nothing is asked
/// of replicas that are up.
pub async fn watch(pool: Weak<Endpoint>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let attempt = tokio::time::timeout(PATIENCE, accepts(&pool));
        if matches!(attempt.await, Ok(true)) {
            tracing::info!(upstream = %pool, "Upstream is back");
            pool.up();
            return;
        }
    }
}

async fn accepts(pool: &Arc<Endpoint>) -> bool {
    match pool.upstream() {
        Upstream::Http { host, port } | Upstream::Https { host, port } => {
            TcpStream::connect((host.as_str(), *port)).await.is_ok()
        }
        Upstream::Unix(path) => UnixStream::connect(path).await.is_ok(),
        Upstream::Own => true,
    }
}
