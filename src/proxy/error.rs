//! The one table from an error on the request path to status, body and log.

use pingora::prelude::{Error, ErrorSource, ErrorType};

/// What went wrong, as far as anybody outside may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyError {
    /// The exporter; with the cause for the log.
    Upstream { timed_out: bool, cause: &'static str },
    /// The client sent something that cannot be forwarded.
    BadRequest,
    /// The client is gone.
    ClientGone,
    /// A defect of the guard itself.
    Internal,
}

/// The upstream step was reached without a permit: refused, and only a defect can lead here.
pub fn without_permit() -> Box<Error> {
    Error::explain(ErrorType::InternalError, "no permit")
}

/// None could be reached.
pub fn no_replica() -> Box<Error> {
    Error::explain(ErrorType::ConnectError, "no replica left").into_up()
}

/// The answer that others wait for, too, did not come.
pub fn shared_timeout() -> Box<Error> {
    Error::explain(ErrorType::ReadTimedout, "no answer to share").into_up()
}

/// The exporter answered what a client could misread.
pub fn malformed_response() -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, "malformed response").into_up()
}

impl ProxyError {
    pub fn of(error: &Error) -> Self {
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

    /// 0: nobody to answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Upstream { timed_out: true, .. } => 504,
            Self::Upstream { timed_out: false, .. } => 502,
            Self::BadRequest => 400,
            Self::ClientGone => 0,
            Self::Internal => 500,
        }
    }

    /// Names the route, if there is one, and nothing else of the inside.
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
            Self::ClientGone => String::new(),
            Self::Internal => "Internal Server Error".to_owned(),
        }
    }

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

/// Our own words: pingora's would quote what was read from the wire.
fn upstream_cause(etype: &ErrorType) -> &'static str {
    match etype {
        ErrorType::ConnectTimedout => "connecting timed out",
        ErrorType::ConnectRefused => "connection refused",
        ErrorType::ConnectNoRoute => "no route to host",
        ErrorType::TLSHandshakeTimedout => "TLS handshake timed out",
        ErrorType::TLSHandshakeFailure | ErrorType::HandshakeError => "TLS handshake failed",
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
