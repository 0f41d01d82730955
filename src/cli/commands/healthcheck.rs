//! `healthcheck`: requests `/-/ready` of a running guard, for containers that have no curl.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::cli::HealthcheckArgs;
use crate::config::ListenAddress;

/// The time that an answer may take: less than Docker's own timeout, which defaults to 30 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

const REQUEST: &[u8] = b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A reason why the guard does not count as ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthcheckError {
    /// Nothing answers at the telemetry address.
    #[error("{address}: {cause}")]
    Unreachable {
        /// The telemetry address.
        address: ListenAddress,
        /// The error of the operating system.
        #[source]
        cause: std::io::Error,
    },
    /// The guard says that it is not ready.
    #[error("{address}: not ready: {status} {body}")]
    NotReady {
        /// The telemetry address.
        address: ListenAddress,
        /// The status code of the answer.
        status: String,
        /// The body of the answer.
        body: String,
    },
}

/// Asks the guard at the telemetry address whether it is ready.
///
/// # Errors
///
/// Returns the reason when it is not.
pub fn run(args: &HealthcheckArgs) -> Result<(), HealthcheckError> {
    let address = || args.address.clone();
    let answer = request_readiness(&args.address)
        .map_err(|cause| HealthcheckError::Unreachable { address: address(), cause })?;
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status == "200" {
        return Ok(());
    }
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default().trim();
    Err(HealthcheckError::NotReady {
        address: address(),
        status: status.to_owned(),
        body: body.to_owned(),
    })
}

fn request_readiness(address: &ListenAddress) -> std::io::Result<String> {
    match address {
        ListenAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            exchange(stream)
        }
        ListenAddress::Tcp { host, port } => {
            let host = if host.is_empty() { "localhost" } else { host };
            let stream = TcpStream::connect((host, *port))?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            exchange(stream)
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(REQUEST)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
