//! The command line: flags, environment, subcommands, exit codes and what is said.

mod check;
mod init;
mod logging;
mod passwords;
mod start;
