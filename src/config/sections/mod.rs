//! The sections of the file but for routes: each read by the declarations of its keys into a typed,
//! checked value.

mod http;
mod limits;
pub mod listeners;
pub mod material;
mod networks;
mod proxy_protocol;
mod rate_limit;
mod tls;
pub mod tokens;
pub mod users;

pub use http::HttpConfig;
pub use limits::Limits;
pub use material::{PemMaterial, SniCertificate};
pub use networks::Network;
pub use proxy_protocol::ProxyProtocol;
pub use rate_limit::RateLimit;
pub use tls::{TlsConfig, TlsSection};
pub use tokens::{Token, TokenHash};
pub use users::{PasswordHash, User};
