//! What the guard says about itself: log lines, and the endpoints of `--telemetry.listen-address`.

mod endpoints;
mod log;
mod throttle;

pub use endpoints::Endpoints;
pub use log::init as init_log;
pub use throttle::Throttle;
