//! The telemetry address (`--telemetry.listen-address`): metrics, health, reload and status page.

mod endpoints;
mod lifecycle;
mod status;

pub use endpoints::AdminApp;
