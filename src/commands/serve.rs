//! The main job: from flags to a running server.

use std::path::Path;

use crate::child::ChildCommand;
use crate::cli::{ProcessArgs, ServeArgs};
use crate::net::{Bound, ListenAddress};
use crate::process::limits::Inherited;
use crate::reload;
use crate::server::{self, Plan};
use crate::telemetry;
use crate::upgrade::{Offer, Predecessor, Role, Upgrade};
use crate::upstream::Upstream;

const NO_CONFIG: &str = "no --web.config.file: an exporter must not be opened to the network by \
     accident. `exporter-guard init --directory DIR` makes a key, a certificate and a \
     configuration; `exporter-guard quickstart` does that and starts";

pub fn run(args: ServeArgs, inherited: Inherited) -> Result<u8, String> {
    let file = args.web_config.as_deref().ok_or(NO_CONFIG)?;
    telemetry::init_log(args.process.log_level, args.process.log_format);
    let mut upgrade =
        args.upgrade_socket.as_deref().map(|path| upgrade(path, args.upgrade)).transpose()?;
    let listeners = if args.systemd_socket {
        Bound::from_systemd().map_err(|error| format!("cannot use systemd's sockets: {error}"))?
    } else {
        take_or_bind(&args.listen_addresses, Role::Web, upgrade.as_mut())?
    };
    if listeners.is_empty() {
        return Err("systemd passed no sockets: start the .socket unit, or use \
                    --web.listen-address"
            .to_owned());
    }
    let command = (!args.exporter.is_empty()).then_some(ChildCommand {
        words: args.exporter,
        restart: args.restart,
        limits: inherited,
    });
    start(file, listeners, args.upstream, command, upgrade, &args.process)
}

/// Load, announce, serve.
pub fn start(
    file: &Path,
    listeners: Vec<Bound>,
    upstream: Upstream,
    command: Option<ChildCommand>,
    mut upgrade: Option<Upgrade>,
    process: &ProcessArgs,
) -> Result<u8, String> {
    let names = listeners.iter().map(|bound| bound.name.clone()).collect();
    let (snapshot, initial) = reload::load_first(file, names).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        format!("cannot use the web configuration:\n{}", lines.join("\n"))
    })?;
    let telemetry = match process.telemetry_listen_address.as_str() {
        "" => Vec::new(),
        address => {
            let address: ListenAddress =
                address.parse().map_err(|error| format!("--telemetry.listen-address: {error}"))?;
            take_or_bind(&[address], Role::Telemetry, upgrade.as_mut())?
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
    server::run(Plan {
        listeners,
        telemetry,
        upstream,
        command,
        upgrade,
        grace_period: process.grace_period,
        sandbox: !process.no_sandbox,
        snapshot,
        initial,
    })
}

fn upgrade(path: &Path, take_over: bool) -> Result<Upgrade, String> {
    let cannot = |error| format!("--upgrade.socket {}: {error}", path.display());
    if !take_over {
        return Ok(Upgrade { offer: Offer::bind(path).map_err(cannot)?, predecessor: None });
    }
    let mut predecessor = Predecessor::ask(path).map_err(cannot)?;
    Ok(Upgrade { offer: predecessor.offer(path).map_err(cannot)?, predecessor: Some(predecessor) })
}

/// What the predecessor listens on need not be bound.
fn take_or_bind(
    addresses: &[ListenAddress],
    role: Role,
    upgrade: Option<&mut Upgrade>,
) -> Result<Vec<Bound>, String> {
    let Some(Upgrade { offer, predecessor }) = upgrade else { return bind(addresses) };
    let mut all = Vec::new();
    for address in addresses {
        let taken = predecessor.as_mut().map(|predecessor| predecessor.take(role, address));
        match taken.unwrap_or_default() {
            none if none.is_empty() => all.extend(bind(std::slice::from_ref(address))?),
            taken => all.extend(taken),
        }
    }
    for bound in &all {
        offer.add(role, bound).map_err(|error| format!("cannot offer {}: {error}", bound.name))?;
    }
    Ok(all)
}

/// Bind every address, or name the one that cannot be had.
pub fn bind(addresses: &[ListenAddress]) -> Result<Vec<Bound>, String> {
    let mut bound = Vec::new();
    for address in addresses {
        bound.extend(
            Bound::bind(address).map_err(|error| format!("cannot listen on {address}: {error}"))?,
        );
    }
    Ok(bound)
}
