//! `tls_server_config` and what surrounds it.

mod abuse;
mod client_auth;
mod client_names;
mod expiry;
mod handshake;
mod material;
mod names;
mod negotiation;
mod rate_limit;
mod response_headers;
mod revocation;
mod scanners;
mod wrong_protocol;
