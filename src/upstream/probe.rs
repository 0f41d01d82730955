//! The readiness of the guard: with a child, it is ready once the child's exporter answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

use crate::config::Upstream;
use crate::os::systemd;

/// The delay after the first probe. It grows by half with each probe, since an exporter starts
/// within milliseconds or within minutes.
const FIRST_DELAY: Duration = Duration::from_millis(10);
/// The longest delay between two probes.
const MAX_DELAY: Duration = Duration::from_secs(1);
/// The time that one probe may take; an exporter that accepts and does not answer is probed again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// The beginning of every HTTP/1 answer (RFC 9112 section 2.3).
const HTTP_PREFIX: &[u8] = b"HTTP/";

/// The readiness of the guard, which `/-/ready` reports and the service manager is notified of.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    /// Returns whether the guard is ready.
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets whether the guard is ready, and notifies the service manager.
    pub fn set(&self, is_ready: bool) {
        self.0.store(is_ready, Ordering::Relaxed);
        if is_ready {
            systemd::ready("Serving");
        } else {
            systemd::status("The exporter does not answer");
        }
    }

    /// Starts a task that probes the exporter until it answers once, and then makes the guard
    /// ready.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn watch(self: &Arc<Self>, upstream: Upstream) -> AbortHandle {
        let readiness = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut delay = FIRST_DELAY;
            while !answers(&upstream).await {
                tokio::time::sleep(delay).await;
                delay = delay.mul_f64(1.5).min(MAX_DELAY);
            }
            tracing::info!(%upstream, "The exporter answers");
            readiness.set(true);
        });
        task.abort_handle()
    }
}

async fn answers(upstream: &Upstream) -> bool {
    let probe = async {
        match upstream {
            Upstream::Http { host, port } => {
                answers_http(TcpStream::connect((host.as_str(), *port)).await?).await
            }
            // Only routes have these upstreams, and routes have no child.
            Upstream::Https { .. } => Ok(false),
            Upstream::Unix(path) => answers_http(UnixStream::connect(path).await?).await,
            Upstream::Own => Ok(true),
        }
    };
    matches!(tokio::time::timeout(ANSWER_TIMEOUT, probe).await, Ok(Ok(true)))
}

/// Sends a HEAD request for the landing page, which makes no exporter collect, and returns whether
/// an HTTP answer comes. Its status does not matter: 404 is an answer, too.
async fn answers_http(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<bool> {
    let request = concat!(
        "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: exporter-guard/",
        env!("CARGO_PKG_VERSION"),
        "\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; HTTP_PREFIX.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer == HTTP_PREFIX)
}
