//! `quickstart`: creates a configuration unless there is one, and serves with it.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::serve::ServeError;
use super::{init, serve};
use crate::cli::QuickstartArgs;
use crate::config::{ListenAddress, Upstream};
use crate::observe;
use crate::os::file_trust;

const DIRECTORY: &str = "exporter-guard-quickstart";
/// The default address of node_exporter, on loopback.
const NODE_EXPORTER: ([u8; 4], u16) = ([127, 0, 0, 1], 9100);
/// The time that connecting to node_exporter may take: loopback answers in microseconds or not at all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves with the configuration in ./exporter-guard-quickstart, and returns the exit code.
///
/// # Errors
///
/// Returns the reason why the guard does not serve.
pub fn run(args: QuickstartArgs) -> Result<u8, ServeError> {
    let directory = Path::new(DIRECTORY);
    let file = directory.join(init::WEB_CONFIG);
    let listeners = serve::bind(&args.listen_addresses)?;
    let upstream = upstream();
    if file.exists() {
        // Another user could have put it there, with a password of theirs.
        file_trust::check(&file)?;
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

/// Returns the address of node_exporter when it runs on this host, or else the guard's own metrics.
fn upstream() -> Upstream {
    let address = SocketAddr::from(NODE_EXPORTER);
    match TcpStream::connect_timeout(&address, PROBE_TIMEOUT) {
        Ok(_) => Upstream::Http { host: address.ip().to_string(), port: address.port() },
        Err(_) => Upstream::Own,
    }
}
