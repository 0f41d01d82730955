//! The one table from an error on the request path to the status, the body and the cause in the
//! log.

use pingora::prelude::{Error, ErrorSource, ErrorType};

use crate::connection::budget;

/// pingora has no type of its own for this.
const NO_MEMORY: ErrorType = ErrorType::new("NoMemory");

/// An error on the request path, as far as clients may know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyError {
    /// The exporter did not answer, or not in a way that can be forwarded.
    Upstream {
        /// True when a timeout has passed: the answer is 504 instead of 502.
        timed_out: bool,
        /// The cause, for the log and the metrics.
        cause: &'static str,
    },
    /// The client sent a request that cannot be forwarded.
    BadRequest,
    /// The client has closed the connection or stream.
    ClientGone,
    /// The client has used up its share of the budget for unsent answers.
    NoMemory,
    /// A defect of the guard itself.
    Internal,
}

/// Builds the error of a request that reaches the upstream step without a permit. Only a defect of
/// the guard can lead here; the request is refused.
pub fn without_permit() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "no permit")
}

/// Builds the error of a request for which no replica could be reached.
pub fn no_replica() -> Box<Error> {
    Error::explain(ErrorType::ConnectError, "no replica left").into_up()
}

/// Builds the error of a request that has waited in vain for the answer to another one.
pub fn shared_timeout() -> Box<Error> {
    Error::explain(ErrorType::ReadTimedout, "no answer to share").into_up()
}

/// Builds the error of an answer that takes more memory than the client's share of the budget has.
pub fn no_memory() -> Box<Error> {
    Error::explain(NO_MEMORY, budget::REASON)
}

/// Builds the error of an exporter's response that a client could misread.
pub fn malformed_response() -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, "malformed response").into_up()
}

/// Builds the error of an exporter whose certificate is revoked, or has no revocation list in force.
pub fn revoked() -> Box<Error> {
    Error::explain(REVOKED, "certificate revoked, or no list in force").into_up()
}

/// pingora has no type for this.
const REVOKED: ErrorType = ErrorType::Custom("CertificateRevoked");

impl ProxyError {
    /// Classifies one of pingora's errors by its source and its type.
    pub fn of(error: &Error) -> Self {
        if *error.etype() == NO_MEMORY {
            return Self::NoMemory;
        }
        match error.esource() {
            ErrorSource::Upstream => Self::Upstream {
                timed_out: is_timeout(error.etype()),
                cause: upstream_cause(error.etype()),
            },
            ErrorSource::Downstream => match error.etype() {
                ErrorType::WriteError
                | ErrorType::ReadError
                | ErrorType::ReadTimedout
                | ErrorType::WriteTimedout
                | ErrorType::ConnectionClosed
                | ErrorType::H2Error => Self::ClientGone,
                _ => Self::BadRequest,
            },
            ErrorSource::Internal | ErrorSource::Unset => Self::Internal,
        }
    }

    /// Returns the status of the answer; 0 when there is no client left to answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Upstream { timed_out: true, .. } => 504,
            Self::Upstream { timed_out: false, .. } => 502,
            Self::BadRequest => 400,
            Self::ClientGone => 0,
            Self::NoMemory => 503,
            Self::Internal => 500,
        }
    }

    /// Builds the body of the answer. It names the route, if one is given, and nothing else of the
    /// configuration.
    pub fn body(self, route: Option<&str>) -> String {
        let exporter = match route {
            Some(route) => format!("the exporter of route {route}"),
            None => "the exporter".to_owned(),
        };
        match self {
            Self::Upstream { timed_out: true, .. } => {
                format!("Gateway Timeout: {exporter} did not answer in time")
            }
            Self::Upstream { timed_out: false, .. } => {
                format!("Bad Gateway: {exporter} is not reachable")
            }
            Self::BadRequest => "Bad Request".to_owned(),
            Self::ClientGone | Self::NoMemory => String::new(),
            Self::Internal => "Internal Server Error".to_owned(),
        }
    }

    /// Returns the cause of an error of the exporter.
    pub fn upstream_cause(self) -> Option<&'static str> {
        match self {
            Self::Upstream { cause, .. } => Some(cause),
            _ => None,
        }
    }
}

fn is_timeout(etype: &ErrorType) -> bool {
    matches!(
        etype,
        ErrorType::ConnectTimedout
            | ErrorType::TLSHandshakeTimedout
            | ErrorType::ReadTimedout
            | ErrorType::WriteTimedout
    )
}

/// Names the cause in words of the guard: pingora's own would quote what was read from the wire.
fn upstream_cause(etype: &ErrorType) -> &'static str {
    match etype {
        ErrorType::ConnectTimedout => "connecting timed out",
        ErrorType::ConnectRefused => "connection refused",
        ErrorType::ConnectNoRoute => "no route to host",
        ErrorType::TLSHandshakeTimedout => "TLS handshake timed out",
        ErrorType::TLSHandshakeFailure | ErrorType::HandshakeError => "TLS handshake failed",
        etype if *etype == REVOKED => "its certificate is revoked, or no list of its CA counts",
        ErrorType::InvalidCert => "its certificate is not trusted",
        ErrorType::ReadTimedout => "no response in time",
        ErrorType::WriteTimedout => "does not take the request",
        ErrorType::ConnectionClosed => "closed the connection before the response was complete",
        ErrorType::ReadError => "connection broke while reading the response",
        ErrorType::WriteError => "connection broke while sending the request",
        ErrorType::InvalidHTTPHeader => "response header is malformed",
        ErrorType::BindError | ErrorType::SocketError => "no local socket",
        ErrorType::ConnectError => "cannot connect",
        _ => "response is malformed",
    }
}
