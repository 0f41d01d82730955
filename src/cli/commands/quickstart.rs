//! `quickstart`: from nothing to a guarded page in one command.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::serve::ServeError;
use super::{init, serve};
use crate::cli::QuickstartArgs;
use crate::config::{ListenAddress, Upstream};
use crate::observe;

const DIRECTORY: &str = "exporter-guard-quickstart";
/// Where node_exporter listens by default.
const EXPORTER: ([u8; 4], u16) = ([127, 0, 0, 1], 9100);
/// Loopback answers in microseconds or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

pub fn run(args: QuickstartArgs) -> Result<u8, ServeError> {
    let directory = Path::new(DIRECTORY);
    let file = directory.join(init::WEB_CONFIG);
    let listeners = serve::bind(&args.listen_addresses)?;
    let upstream = upstream();
    if file.exists() {
        println!("Using ./{DIRECTORY}; its password was printed when it was made.");
    } else {
        let port = match args.listen_addresses.first() {
            Some(ListenAddress::Tcp { port, .. }) => *port,
            _ => init::DEFAULT_PORT,
        };
        let options = init::Options {
            directory: directory.to_owned(),
            hostnames: Vec::new(),
            rsa: false,
            listen_port: port,
        };
        init::run(&options, &mut std::io::stdout())?;
    }
    observe::init_log(args.process.log_level, args.process.log_format);
    serve::start(&file, listeners, upstream, None, None, &args.process)
}

/// The exporter on this host when there is one, else the guard's own metrics.
fn upstream() -> Upstream {
    let address = SocketAddr::from(EXPORTER);
    match TcpStream::connect_timeout(&address, PROBE_TIMEOUT) {
        Ok(_) => Upstream::Http { host: address.ip().to_string(), port: address.port() },
        Err(_) => Upstream::Own,
    }
}
