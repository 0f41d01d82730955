//! The main job: from flags to a running server.

use std::path::Path;

use crate::child::ChildCommand;
use crate::cli::{ProcessArgs, ServeArgs};
use crate::net::{Bound, ListenAddress};
use crate::process::limits::Inherited;
use crate::proxy::Upstream;
use crate::reload;
use crate::server::{self, Plan};
use crate::telemetry;

const NO_CONFIG: &str = "no --web.config.file: an exporter must not be opened to the network by \
     accident. `exporter-guard init --directory DIR` makes a key, a certificate and a \
     configuration; `exporter-guard quickstart` does that and starts";

pub fn run(args: ServeArgs, inherited: Inherited) -> Result<u8, String> {
    let file = args.web_config.as_deref().ok_or(NO_CONFIG)?;
    telemetry::init_log(args.process.log_level, args.process.log_format);
    let listeners = if args.systemd_socket {
        Bound::from_systemd().map_err(|error| format!("cannot use systemd's sockets: {error}"))?
    } else {
        bind(&args.listen_addresses)?
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
    start(file, listeners, args.upstream, command, &args.process)
}

/// Load, announce, serve.
pub fn start(
    file: &Path,
    listeners: Vec<Bound>,
    upstream: Upstream,
    command: Option<ChildCommand>,
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
            bind(&[address])?
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
        grace_period: process.grace_period,
        sandbox: !process.no_sandbox,
        snapshot,
        initial,
    })
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
