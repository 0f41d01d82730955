//! The flags and subcommands as clap structs. Parsing them opens no files.
//!
//! Flags are named as in Prometheus, with dots between the parts. Each has an environment variable
//! `EXPORTER_GUARD_…`, whose name has underscores instead of dots and dashes.
//!
//! clap prints the docs of fields and variants as the `--help` texts.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::auth::DEFAULT_BCRYPT_COST;
use crate::child::Restart;
use crate::config::{ListenAddress, Upstream, duration};
use crate::observe::access_log::AccessLogMode;
use crate::observe::{LogFormat, LogLevel};
use crate::os::exit_codes;

/// The default of `--shutdown.grace-period`: longer than a scrape, shorter than the 30 s after
/// which Kubernetes kills a container.
const DEFAULT_GRACE_PERIOD: &str = "20s";

/// The default of `--telemetry.listen-address`, for the guard and for `healthcheck`.
const DEFAULT_TELEMETRY: &str = "127.0.0.1:9444";

/// The whole command line: a subcommand, or the flags of the guard itself.
#[derive(Parser, Debug)]
#[command(
    name = "exporter-guard",
    version,
    about = "TLS and authentication in front of any Prometheus exporter",
    long_about = "Stands in front of a plaintext Prometheus exporter, terminates TLS and \
                  authenticates clients, by the same web configuration file that exporters built \
                  on the exporter-toolkit read.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    /// The subcommand; without one, the guard serves.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The flags of a guard that serves.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The flags of a guard that serves.
#[derive(Args, Debug, Clone)]
pub struct ServeArgs {
    /// Address to listen on: HOST:PORT, :PORT (IPv4 and IPv6) or unix:/path; repeatable
    #[arg(
        long = "web.listen-address",
        env = "EXPORTER_GUARD_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = ":9443"
    )]
    pub listen_addresses: Vec<ListenAddress>,

    /// Listen on the sockets that systemd passes (socket activation), not on --web.listen-address
    #[arg(long = "web.systemd-socket", env = "EXPORTER_GUARD_WEB_SYSTEMD_SOCKET")]
    pub systemd_socket: bool,

    /// Unix socket (mode 0600) that hands the listening sockets over to a guard started with
    /// --upgrade
    #[arg(
        long = "upgrade.socket",
        env = "EXPORTER_GUARD_UPGRADE_SOCKET",
        value_name = "PATH",
        conflicts_with_all = ["systemd_socket", "exporter"]
    )]
    pub upgrade_socket: Option<PathBuf>,

    /// Take the listening sockets over from the guard behind --upgrade.socket, which then finishes
    /// its requests and exits
    #[arg(long, requires = "upgrade_socket")]
    pub upgrade: bool,

    /// Web configuration file: TLS, users, headers; reloaded whenever it changes
    #[arg(long = "web.config.file", env = "EXPORTER_GUARD_WEB_CONFIG_FILE", value_name = "FILE")]
    pub web_config: Option<PathBuf>,

    /// Address of the exporter: http://HOST:PORT, unix:/path, or self (the guard's own metrics)
    #[arg(
        long,
        env = "EXPORTER_GUARD_UPSTREAM",
        value_name = "URL",
        value_parser = Upstream::parse_plaintext,
        default_value = "http://127.0.0.1:9100"
    )]
    pub upstream: Upstream,

    /// The flags that `serve` and `quickstart` share.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// When to restart the exporter that COMMAND runs
    #[arg(
        long = "child.restart",
        env = "EXPORTER_GUARD_CHILD_RESTART",
        value_name = "WHEN",
        default_value = "never",
        requires = "exporter"
    )]
    pub restart: Restart,

    /// Run this exporter as a child process, and exit when it exits, with its exit code
    #[arg(last = true, value_name = "COMMAND")]
    pub exporter: Vec<OsString>,
}

/// The flags that `serve` and `quickstart` share: how the process itself behaves.
#[derive(Args, Debug, Clone)]
pub struct ProcessArgs {
    /// Address of the guard's own metrics and lifecycle endpoints, in plaintext; empty turns them
    /// off
    #[arg(
        long = "telemetry.listen-address",
        env = "EXPORTER_GUARD_TELEMETRY_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        default_value = DEFAULT_TELEMETRY
    )]
    pub telemetry_listen_address: String,

    /// Log messages of this level and of more severe ones
    #[arg(
        long = "log.level",
        env = "EXPORTER_GUARD_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: LogLevel,

    /// Format of the log lines
    #[arg(
        long = "log.format",
        env = "EXPORTER_GUARD_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "logfmt"
    )]
    pub log_format: LogFormat,

    /// Requests that get a log line when they have ended: who, what, status, bytes and durations
    #[arg(
        long = "log.access",
        env = "EXPORTER_GUARD_LOG_ACCESS",
        value_name = "WHICH",
        default_value = "failures"
    )]
    pub log_access: AccessLogMode,

    /// Time that running requests get to finish after SIGTERM, such as 20s or 1m30s
    #[arg(
        long = "shutdown.grace-period",
        env = "EXPORTER_GUARD_SHUTDOWN_GRACE_PERIOD",
        value_name = "DURATION",
        value_parser = duration::parse,
        default_value = DEFAULT_GRACE_PERIOD
    )]
    pub grace_period: Duration,

    /// Run without the sandbox: keep capabilities and the right to open files and connections
    #[arg(long, env = "EXPORTER_GUARD_NO_SANDBOX")]
    pub no_sandbox: bool,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check web configuration files: one line per finding, exit code 1 if there is an error
    Check(CheckArgs),
    /// Print the JSON Schema of the web configuration, for editors
    Schema,
    /// Hash a password with bcrypt, for basic_auth_users
    HashPassword(HashPasswordArgs),
    /// Create a key, a certificate, a web configuration and a password
    Init(InitArgs),
    /// Create ./exporter-guard-quickstart unless it exists, and serve with it
    Quickstart(QuickstartArgs),
    /// Ask a running guard whether it is ready: exit code 0 if it is, 1 otherwise
    Healthcheck(HealthcheckArgs),
}

/// The arguments of `check`.
#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Web configuration files to check
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,

    /// Print each route, too, in one line: who may reach which exporter
    #[arg(long)]
    pub explain: bool,
}

/// The arguments of `hash-password`.
#[derive(Args, Debug)]
pub struct HashPasswordArgs {
    /// bcrypt cost, 4 to 31: each step doubles the time that hashing and checking take
    #[arg(
        long,
        value_name = "COST",
        default_value_t = DEFAULT_BCRYPT_COST,
        value_parser = clap::value_parser!(u32).range(4..=31)
    )]
    pub cost: u32,
}

/// The arguments of `init`.
#[derive(Args, Debug)]
pub struct InitArgs {
    /// Directory to create server.key, server.crt and web.yml in; existing files are not
    /// overwritten
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,

    /// DNS name or IP address for the certificate; repeatable [default: the name of this host]
    #[arg(long = "hostname", value_name = "NAME")]
    pub hostnames: Vec<String>,

    /// Generate an RSA 2048 key instead of an ECDSA P-256 key
    #[arg(long)]
    pub rsa: bool,
}

/// The arguments of `quickstart`.
#[derive(Args, Debug)]
pub struct QuickstartArgs {
    /// The flags that `serve` and `quickstart` share.
    #[command(flatten)]
    pub process: ProcessArgs,

    /// Address to listen on: HOST:PORT, :PORT (IPv4 and IPv6) or unix:/path; repeatable
    #[arg(
        long = "web.listen-address",
        env = "EXPORTER_GUARD_WEB_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        value_delimiter = ',',
        default_value = ":9443"
    )]
    pub listen_addresses: Vec<ListenAddress>,
}

/// The arguments of `healthcheck`.
#[derive(Args, Debug)]
pub struct HealthcheckArgs {
    /// Telemetry address of the running guard: HOST:PORT, :PORT or unix:/path
    #[arg(
        long = "telemetry.listen-address",
        env = "EXPORTER_GUARD_TELEMETRY_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        default_value = DEFAULT_TELEMETRY
    )]
    pub address: ListenAddress,
}

/// Parses the command line.
///
/// # Errors
///
/// Prints clap's own answer (help, version, usage error), and returns its exit code.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, u8> {
    Cli::try_parse_from(args).map_err(|error| {
        // A closed stdout or stderr leaves no way to report that.
        let _ = error.print();
        u8::try_from(error.exit_code()).unwrap_or(exit_codes::USAGE)
    })
}
