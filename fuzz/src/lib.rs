//! The bodies of the fuzz targets: each accepts any bytes, and panics when an invariant is
//! violated.
//!
//! `cargo fuzz` runs them through fuzz_targets/. The integration tests compile this file, too, and
//! run every file of seeds/ through it, so that the seeds are checked without libFuzzer.

mod authorization;
mod file_sd;
mod forwarded;
mod proxy_header;
mod public_path;
pub mod reference;
mod request_head;
mod web_config;

pub use authorization::authorization;
pub use file_sd::file_sd;
pub use forwarded::forwarded;
pub use proxy_header::proxy_header;
pub use public_path::public_path;
pub use request_head::request_head;
pub use web_config::web_config;
