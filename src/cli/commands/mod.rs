//! The subcommands, one module each, and what they share.

mod certificate;
pub mod check;
pub mod hash_password;
pub mod healthcheck;
mod hostname;
pub mod init;
mod instructions;
mod new_files;
pub mod quickstart;
pub mod schema;
pub mod serve;
