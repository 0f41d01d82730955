//! Basic authentication: who gets in, what it costs, and who can tell.

mod cache;
mod connections;
mod credentials;
mod hashes;
mod mutations;
mod public_paths;
mod timing;
