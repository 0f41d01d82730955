//! Observability: log lines and metrics of the guard itself. Every module writes them, and the
//! guard makes no decision by them.

pub mod access_log;
pub mod history;
mod log;
mod log_line;
mod log_queue;
mod log_throttle;
pub mod metrics;
pub mod recent;

pub use log::{LogFormat, LogLevel, init as init_log};
pub use log_queue::{flush as flush_log, start_writer as start_log_writer};
pub use log_throttle::LogThrottle;
pub use metrics::Metrics;
