//! What the guard says about itself: log lines and metrics. Written to from everywhere, reads
//! nothing back.

mod log;
mod log_throttle;
pub mod metrics;

pub use log::{LogFormat, LogLevel, init as init_log};
pub use log_throttle::LogThrottle;
pub use metrics::Metrics;
