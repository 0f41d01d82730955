//! exporter-guard stands in front of a plaintext Prometheus exporter, terminates TLS, checks who
//! asks by the web configuration file that exporters already read, and forwards what is allowed.
//!
//! # The map
//!
//! A request goes one way through the modules:
//!
//! ```text
//! net::listener ─> net::handshake ─> tls ─> net::gate ─> proxy ─> routing ─> auth ─> upstream ─> exporter
//!                                     ^                    ^
//!                            snapshot at accept   snapshot at request
//!                                     └── snapshot <── reload <── config <── files
//! ```
//!
//! - [`config`]: the file, parsed and validated; knows nothing of the rest.
//! - [`load`]: the configuration together with the certificates it names.
//! - `tls`, [`auth`], [`rate_limit`]: what a configuration becomes.
//! - [`snapshot`]: the immutable whole, swapped by one atomic store in [`reload`].
//! - [`net`]: sockets, deadlines, one request head at a time.
//! - [`proxy`]: pingora's hooks; the only way to an upstream takes an [`auth::Permit`].
//! - [`routing`]: which exporter a request is for, when there are several.
//! - [`upstream`]: the exporters.
//! - [`telemetry`], [`metrics`]: what the guard says about itself.
//! - [`child`]: the exporter as a child process, when the guard runs it.
//! - [`process`]: what the process asks for and gives up before it serves.
//! - [`systemd`]: what the service manager is told.
//! - [`upgrade`]: handing the sockets over to a successor.
//! - [`server`]: puts it together, with threads that serve and threads for handshakes.
//! - [`commands`]: the subcommands.

pub mod auth;
pub mod child;
pub mod cli;
pub mod commands;
pub mod config;
pub mod load;
pub mod metrics;
pub mod net;
pub mod process;
pub mod proxy;
pub mod rate_limit;
pub mod reload;
pub mod routing;
pub mod server;
pub mod signals;
pub mod snapshot;
pub mod source;
pub mod systemd;
pub mod telemetry;
pub mod tls;
pub mod upgrade;
pub mod upstream;

use std::ffi::OsString;
use std::process::ExitCode;

use cli::{Cli, Command};
use process::{dumps, limits};

/// The command line was wrong.
pub const EXIT_USAGE: u8 = 2;
/// Anything else went wrong.
pub const EXIT_FAILURE: u8 = 1;

/// The whole program.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match cli::parse(args) {
        Ok(cli) => ExitCode::from(dispatch(cli)),
        Err(code) => ExitCode::from(code),
    }
}

fn dispatch(cli: Cli) -> u8 {
    // Before anything secret is in memory.
    let inherited =
        match limits::Inherited::read().and_then(|limits| dumps::forbid().map(|()| limits)) {
            Ok(inherited) => inherited,
            Err(error) => return finish(Err(format!("cannot turn off core dumps: {error}"))),
        };
    let result = match cli.command {
        None => return finish(commands::serve::run(cli.serve, inherited)),
        Some(Command::Check(args)) => return commands::check::run(&args),
        Some(Command::HashPassword(args)) => {
            commands::hash_password::run_on_stdin(args.cost).map_err(|error| error.to_string())
        }
        Some(Command::Init(args)) => commands::init::run(&args.into(), &mut std::io::stdout())
            .map_err(|error| error.to_string()),
        Some(Command::Quickstart(args)) => return finish(commands::quickstart::run(args)),
        Some(Command::Healthcheck(args)) => commands::healthcheck::run(&args),
    };
    finish(result.map(|()| 0))
}

fn finish(result: Result<u8, String>) -> u8 {
    match result {
        Ok(code) => code,
        Err(message) => {
            eprintln!("exporter-guard: {message}");
            EXIT_FAILURE
        }
    }
}
