//! The default command: turns flags into a running server.

use std::io;
use std::path::{Path, PathBuf};

use crate::child::ChildCommand;
use crate::cli::{ProcessArgs, ServeArgs};
use crate::config::{Finding, ListenAddress, ListenAddressError, Upstream};
use crate::connection::Bound;
use crate::handover::{Handover, Offer, Predecessor, Role};
use crate::os::file_trust::UntrustedFile;
use crate::os::limits::InheritedLimits;
use crate::server::{Plan, ServerError};
use crate::snapshot::reload;
use crate::{observe, server};

/// A reason why the guard does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No web configuration is named.
    #[error(
        "no --web.config.file: an exporter must not be opened to the network by accident. \
         `exporter-guard init --directory DIR` makes a key, a certificate and a configuration; \
         `exporter-guard quickstart` does that and starts"
    )]
    NoConfig,
    /// The web configuration has errors.
    #[error("cannot use the web configuration:\n{}", lines(.0))]
    Config(Vec<Finding>),
    /// The sockets of the service manager cannot be used.
    #[error("cannot use systemd's sockets: {0}")]
    SystemdSockets(#[source] io::Error),
    /// The service manager has passed no sockets.
    #[error("systemd passed no sockets: start the .socket unit, or use --web.listen-address")]
    NoSystemdSockets,
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {cause}")]
    Listen {
        /// The address.
        address: ListenAddress,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The telemetry address is not valid.
    #[error("--telemetry.listen-address: {0}")]
    TelemetryAddress(ListenAddressError),
    /// The socket for successors cannot be used.
    #[error("--upgrade.socket {}: {cause}", .path.display())]
    HandoverSocket {
        /// The path of the socket.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// A listening socket cannot be offered to a successor.
    #[error("cannot offer {name}: {cause}")]
    Offer {
        /// The name of the listener.
        name: String,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
    /// The configuration that `quickstart` has found may be another user's.
    #[error("not using a configuration that others can change: {0}")]
    Untrusted(#[from] UntrustedFile),
    /// The first run of `quickstart` has failed.
    #[error(transparent)]
    Init(#[from] super::init::InitError),
    /// The server has failed.
    #[error(transparent)]
    Server(#[from] ServerError),
}

fn lines(findings: &[Finding]) -> String {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// Serves by these flags, and returns the exit code.
///
/// # Errors
///
/// Returns the reason why the guard does not serve.
pub fn run(args: ServeArgs, inherited: InheritedLimits) -> Result<u8, ServeError> {
    let file = args.web_config.as_deref().ok_or(ServeError::NoConfig)?;
    observe::init_log(args.process.log_level, args.process.log_format);
    let mut handover =
        args.upgrade_socket.as_deref().map(|path| handover(path, args.upgrade)).transpose()?;
    let listeners = if args.systemd_socket {
        Bound::from_systemd().map_err(ServeError::SystemdSockets)?
    } else {
        take_or_bind(&args.listen_addresses, Role::Web, handover.as_mut())?
    };
    if listeners.is_empty() {
        return Err(ServeError::NoSystemdSockets);
    }
    let command = (!args.exporter.is_empty()).then_some(ChildCommand {
        words: args.exporter,
        restart: args.restart,
        limits: inherited,
    });
    start(file, listeners, args.upstream, command, handover, &args.process)
}

/// Loads the configuration, logs the start and serves; returns the exit code.
///
/// # Errors
///
/// Returns the reason why the guard does not serve.
pub fn start(
    file: &Path,
    listeners: Vec<Bound>,
    upstream: Upstream,
    command: Option<ChildCommand>,
    mut handover: Option<Handover>,
    process: &ProcessArgs,
) -> Result<u8, ServeError> {
    let names = listeners.iter().map(|bound| bound.name.clone()).collect();
    let (snapshot, initial) =
        reload::load_first(file, names, &upstream).map_err(ServeError::Config)?;
    let telemetry = match process.telemetry_listen_address.as_str() {
        "" => Vec::new(),
        address => {
            let address: ListenAddress = address.parse().map_err(ServeError::TelemetryAddress)?;
            take_or_bind(&[address], Role::Telemetry, handover.as_mut())?
        }
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        file = %file.display(),
        upstream = %upstream,
        users = snapshot.users.len(),
        cert_not_after = snapshot.certificate_expiry().map(reload::rfc3339).unwrap_or_default(),
        "Starting exporter-guard"
    );
    let code = server::run(Plan {
        listeners,
        telemetry,
        upstream,
        command,
        handover,
        grace_period: process.grace_period,
        sandbox: !process.no_sandbox,
        access_log: process.log_access,
        snapshot,
        initial,
    })?;
    Ok(code)
}

fn handover(path: &Path, take_over: bool) -> Result<Handover, ServeError> {
    let socket_error = |cause| ServeError::HandoverSocket { path: path.to_owned(), cause };
    if !take_over {
        return Ok(Handover { offer: Offer::bind(path).map_err(socket_error)?, predecessor: None });
    }
    let mut predecessor = Predecessor::connect(path).map_err(socket_error)?;
    let offer = predecessor.take_offer(path).map_err(socket_error)?;
    Ok(Handover { offer, predecessor: Some(predecessor) })
}

/// Takes the sockets that the predecessor listens on, and binds the other addresses.
fn take_or_bind(
    addresses: &[ListenAddress],
    role: Role,
    handover: Option<&mut Handover>,
) -> Result<Vec<Bound>, ServeError> {
    let Some(Handover { offer, predecessor }) = handover else { return bind(addresses) };
    let mut all = Vec::new();
    for address in addresses {
        let taken = predecessor.as_mut().map(|predecessor| predecessor.take_sockets(role, address));
        match taken.unwrap_or_default() {
            none if none.is_empty() => all.extend(bind(std::slice::from_ref(address))?),
            taken => all.extend(taken),
        }
    }
    for bound in &all {
        offer
            .add(role, bound)
            .map_err(|cause| ServeError::Offer { name: bound.name.clone(), cause })?;
    }
    Ok(all)
}

/// Binds every address.
///
/// # Errors
///
/// Returns the first address that cannot be listened on.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Bound>, ServeError> {
    let mut bound = Vec::new();
    for address in addresses {
        let sockets = Bound::bind(address)
            .map_err(|cause| ServeError::Listen { address: address.clone(), cause })?;
        bound.extend(sockets);
    }
    Ok(bound)
}
