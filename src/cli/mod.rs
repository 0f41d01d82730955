//! The command line: flags, subcommands, and which of them runs.

pub mod commands;
mod flags;

use std::ffi::OsString;
use std::fmt::Display;
use std::process::ExitCode;

use crate::os::{dumps, exit_codes, limits};
pub use flags::{
    CheckArgs, Cli, Command, HashPasswordArgs, HealthcheckArgs, InitArgs, ProcessArgs,
    QuickstartArgs, ServeArgs,
};

/// Runs the program with `args`, the first of which is its own name, and returns its exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match flags::parse(args) {
        Ok(cli) => ExitCode::from(dispatch(cli)),
        Err(code) => ExitCode::from(code),
    }
}

fn dispatch(cli: Cli) -> u8 {
    let inherited = limits::InheritedLimits::read();
    // Core dumps are turned off before any secret is in memory.
    if let Err(error) = dumps::forbid() {
        // The rules of a container may forbid the call, and with it the guard.
        eprintln!("exporter-guard: warning: cannot turn off core dumps: {error}");
    }
    match cli.command {
        None => exit_code(commands::serve::run(cli.serve, inherited)),
        Some(Command::Check(args)) => commands::check::run(&args),
        Some(Command::Schema) => exit_code(commands::schema::run().map(|()| 0)),
        Some(Command::HashPassword(args)) => {
            exit_code(commands::hash_password::run_on_stdin(args.cost).map(|()| 0))
        }
        Some(Command::Init(args)) => {
            let made = commands::init::run(&args.into(), &mut std::io::stdout());
            exit_code(made.map(|()| 0))
        }
        Some(Command::Quickstart(args)) => exit_code(commands::quickstart::run(args)),
        Some(Command::Healthcheck(args)) => {
            exit_code(commands::healthcheck::run(&args).map(|()| 0))
        }
    }
}

fn exit_code<E: Display>(result: Result<u8, E>) -> u8 {
    result.unwrap_or_else(|error| fail(&error))
}

/// Prints the reason of a failure to stderr, and returns the exit code of failures.
fn fail(error: &dyn Display) -> u8 {
    eprintln!("exporter-guard: {error}");
    exit_codes::FAILURE
}
