//! What the tests are made with: the guard as a process, clients that show the wire, exporters
//! that answer by script, and the real programs around it.

pub mod certificates;
pub mod curl;
pub mod exporter;
pub mod guard;
pub mod http2;
#[cfg(target_arch = "x86_64")]
pub mod inject;
pub mod kubernetes;
pub mod load;
pub mod logfmt;
pub mod ports;
pub mod process;
pub mod procfs;
pub mod real;
pub mod terminal;
pub mod tls;
pub mod wire;
pub mod yaml;

pub use certificates::{Authority, Identity, KeyKind, Leaf, San, ServerTls, Usage};
pub use curl::Curl;
pub use exporter::{Exporter, Next, PAGE, ok};
pub use guard::{
    Guard, GuardBuilder, OPEN, SCRAPER, TLS, VERIFIED_CLIENTS, guarded, limits, open, proxy,
    quick_hash, scraper, tls_with, users,
};
pub use http2::Http2;
pub use process::{assert_within, eventually, eventually_within};
pub use tls::TlsClient;
pub use wire::{Client, Response, authorization, basic, get};
pub use yaml::{indented, yaml};
