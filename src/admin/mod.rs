//! The telemetry address (`--telemetry.listen-address`): metrics, health, reload and status page.

mod endpoints;

pub use endpoints::AdminApp;
