//! The command line: flags and subcommands as clap structs. Opens no files.
//!
//! Flags follow the Prometheus habit (dots between the parts), and each has an environment
//! variable `EXPORTER_GUARD_…` with dots and dashes as underscores.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::auth::DEFAULT_BCRYPT_COST;
use crate::child::Restart;
use crate::config::{ListenAddress, Upstream, duration};
use crate::observe::{LogFormat, LogLevel};
use crate::os::exit_codes;

/// SIGTERM waits at most this long for requests that are running: longer than a scrape, shorter
/// than the 30 s after which Kubernetes kills.
const DEFAULT_GRACE_PERIOD: &str = "20s";

const DEFAULT_TELEMETRY: &str = "127.0.0.1:9444";

#[derive(Parser, Debug)]
#[command(
    name = "exporter-guard",
    version,
    about = "TLS and authentication in front of any Prometheus exporter",
    long_about = "Stands in front of a plaintext Prometheus exporter, terminates TLS and checks who asks, \
                  by the same web configuration file that exporters built on the exporter-toolkit read.",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,

    #[command(flatten)]
    pub serve: ServeArgs,
}

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

    /// Listen on the sockets that systemd passed (socket activation) instead
    #[arg(long = "web.systemd-socket", env = "EXPORTER_GUARD_WEB_SYSTEMD_SOCKET")]
    pub systemd_socket: bool,

    /// Unix socket (0600) through which a successor started with --upgrade gets the listening
    /// sockets
    #[arg(
        long = "upgrade.socket",
        env = "EXPORTER_GUARD_UPGRADE_SOCKET",
        value_name = "PATH",
        conflicts_with_all = ["systemd_socket", "exporter"]
    )]
    pub upgrade_socket: Option<PathBuf>,

    /// Take the listening sockets from the guard behind --upgrade.socket, which then finishes what
    /// runs and ends
    #[arg(long, requires = "upgrade_socket")]
    pub upgrade: bool,

    /// The web configuration file: TLS, users, headers; read again whenever it changes
    #[arg(long = "web.config.file", env = "EXPORTER_GUARD_WEB_CONFIG_FILE", value_name = "FILE")]
    pub web_config: Option<PathBuf>,

    /// The exporter: http://HOST:PORT, unix:/path, or self (the guard's own metrics)
    #[arg(
        long,
        env = "EXPORTER_GUARD_UPSTREAM",
        value_name = "URL",
        value_parser = Upstream::parse_plaintext,
        default_value = "http://127.0.0.1:9100"
    )]
    pub upstream: Upstream,

    #[command(flatten)]
    pub process: ProcessArgs,

    /// Whether to start the exporter again when it ends
    #[arg(
        long = "child.restart",
        env = "EXPORTER_GUARD_CHILD_RESTART",
        value_name = "WHEN",
        default_value = "never",
        requires = "exporter"
    )]
    pub restart: Restart,

    /// Run the exporter as a child: end when it ends, with its exit code
    #[arg(last = true, value_name = "COMMAND")]
    pub exporter: Vec<OsString>,
}

/// What `serve` and `quickstart` share: how the process itself behaves.
#[derive(Args, Debug, Clone)]
pub struct ProcessArgs {
    /// Own metrics and lifecycle endpoints, in plaintext; empty turns them off
    #[arg(
        long = "telemetry.listen-address",
        env = "EXPORTER_GUARD_TELEMETRY_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        default_value = DEFAULT_TELEMETRY
    )]
    pub telemetry_listen_address: String,

    /// Least severe level to log
    #[arg(
        long = "log.level",
        env = "EXPORTER_GUARD_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: LogLevel,

    /// Shape of the log lines
    #[arg(
        long = "log.format",
        env = "EXPORTER_GUARD_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "logfmt"
    )]
    pub log_format: LogFormat,

    /// After SIGTERM, how long running requests may take to finish
    #[arg(
        long = "shutdown.grace-period",
        env = "EXPORTER_GUARD_SHUTDOWN_GRACE_PERIOD",
        value_name = "DURATION",
        value_parser = duration::parse,
        default_value = DEFAULT_GRACE_PERIOD
    )]
    pub grace_period: Duration,

    /// Keep capabilities and the right to open files and connections (see the README, Sandbox)
    #[arg(long, env = "EXPORTER_GUARD_NO_SANDBOX")]
    pub no_sandbox: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Check web configuration files: one line per finding, exit code 1 when one has an error
    Check(CheckArgs),
    /// Print the JSON Schema of the web configuration, for editors
    Schema,
    /// Hash a password with bcrypt for basic_auth_users
    HashPassword(HashPasswordArgs),
    /// Create a key, a certificate, a web configuration and a password
    Init(InitArgs),
    /// Create ./exporter-guard-quickstart if absent, then run with it
    Quickstart(QuickstartArgs),
    /// Ask a running guard whether it is ready: exit code 0 when it is, 1 otherwise
    Healthcheck(HealthcheckArgs),
}

#[derive(Args, Debug)]
pub struct CheckArgs {
    /// Web configuration files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,

    /// Also print each route in one line: who reaches what
    #[arg(long)]
    pub explain: bool,
}

#[derive(Args, Debug)]
pub struct HashPasswordArgs {
    /// bcrypt cost: each step doubles the time a check takes
    #[arg(long, value_name = "COST", default_value_t = DEFAULT_BCRYPT_COST, value_parser = clap::value_parser!(u32).range(4..=31))]
    pub cost: u32,
}

#[derive(Args, Debug)]
pub struct InitArgs {
    /// Directory for server.key, server.crt and web.yml; nothing in it is overwritten
    #[arg(long, value_name = "DIR")]
    pub directory: PathBuf,

    /// DNS name or IP address for the certificate; repeatable; default: this host's name
    #[arg(long = "hostname", value_name = "NAME")]
    pub hostnames: Vec<String>,

    /// RSA 2048 instead of ECDSA P-256
    #[arg(long)]
    pub rsa: bool,
}

#[derive(Args, Debug)]
pub struct QuickstartArgs {
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

#[derive(Args, Debug)]
pub struct HealthcheckArgs {
    /// The telemetry address of the guard
    #[arg(
        long = "telemetry.listen-address",
        env = "EXPORTER_GUARD_TELEMETRY_LISTEN_ADDRESS",
        value_name = "ADDRESS",
        default_value = DEFAULT_TELEMETRY
    )]
    pub address: ListenAddress,
}

/// Parse the command line, or say which exit code clap's own answer (help, version, usage error)
/// has.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, u8> {
    Cli::try_parse_from(args).map_err(|error| {
        // A closed stdout or stderr leaves nobody to tell.
        let _ = error.print();
        u8::try_from(error.exit_code()).unwrap_or(exit_codes::USAGE)
    })
}
