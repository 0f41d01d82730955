//! What each subcommand does.

mod certificate;
pub mod check;
pub mod hash_password;
pub mod init;
pub mod quickstart;
pub mod serve;
