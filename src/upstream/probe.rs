//! Whether the guard is of use: with a child, once its exporter answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::AbortHandle;

use crate::config::Upstream;
use crate::os::systemd;

/// An exporter starts within milliseconds, or within minutes; the delay grows by half each time.
const FIRST_POLL: Duration = Duration::from_millis(10);
const SLOWEST_POLL: Duration = Duration::from_secs(1);
/// One that accepts and does not answer is asked again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// What every HTTP/1 answer begins with (RFC 9112 section 2.3).
const HTTP: &[u8] = b"HTTP/";

/// Read by `/-/ready`, told to the service manager.
#[derive(Debug, Default)]
pub struct Readiness(AtomicBool);

impl Readiness {
    pub fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
        if ready {
            systemd::ready("Serving");
        } else {
            systemd::status("The exporter does not answer");
        }
    }

    /// Ask the exporter until it answers once.
    pub fn watch(self: &Arc<Self>, upstream: Upstream) -> AbortHandle {
        let readiness = Arc::clone(self);
        let task = tokio::spawn(async move {
            let mut delay = FIRST_POLL;
            while !answers(&upstream).await {
                tokio::time::sleep(delay).await;
                delay = delay.mul_f64(1.5).min(SLOWEST_POLL);
            }
            tracing::info!(%upstream, "The exporter answers");
            readiness.set(true);
        });
        task.abort_handle()
    }
}

async fn answers(upstream: &Upstream) -> bool {
    let asked = async {
        match upstream {
            Upstream::Http { host, port } => {
                ask(TcpStream::connect((host.as_str(), *port)).await?).await
            }
            // Of routes, which have no child.
            Upstream::Https { .. } => Ok(false),
            Upstream::Unix(path) => ask(UnixStream::connect(path).await?).await,
            Upstream::Own => Ok(true),
        }
    };
    matches!(tokio::time::timeout(ANSWER_TIMEOUT, asked).await, Ok(Ok(true)))
}

/// Any answer will do, be it 404: HEAD of the landing page makes no exporter collect.
async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<bool> {
    let request = concat!(
        "HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: exporter-guard/",
        env!("CARGO_PKG_VERSION"),
        "\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = [0; HTTP.len()];
    stream.read_exact(&mut answer).await?;
    Ok(answer == HTTP)
}
