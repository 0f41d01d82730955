//! The exporters: where they are, how long they may take, and what may be forwarded to them.

mod address;
mod health;
mod pool;
mod replicas;
mod timeouts;
mod tls;

pub use address::Upstream;
pub use pool::UpstreamPool;
pub use replicas::{Choice, Replicas};
pub use timeouts::{SCRAPE_TIMEOUT, Timeouts};
pub use tls::ClientTls;
