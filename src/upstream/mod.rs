//! The exporters: their addresses and replicas, TLS to them, their probes and timeouts.

mod endpoint;
mod health;
mod probe;
mod replicas;
mod timeouts;
mod tls;

pub use endpoint::Endpoint;
pub use probe::Readiness;
pub use replicas::{Choice, Replicas};
pub use timeouts::{SCRAPE_TIMEOUT, Timeouts};
pub use tls::{ClientTls, may_be_used};
