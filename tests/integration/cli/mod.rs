//! The command line: flags, environment, subcommands, exit codes and what is said.

mod check;
mod init;
mod linear;
mod logging;
mod passwords;
mod schema;
mod start;
