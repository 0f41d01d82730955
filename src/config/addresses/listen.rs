//! Addresses to listen on: `HOST:PORT`, `:PORT`, `unix:/path`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A listen address as the flags give it; host names are resolved when it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP port.
    Tcp {
        /// The host without brackets; empty for every address, IPv4 and IPv6.
        host: String,
        /// The port; 0 for one that the system chooses.
        port: u16,
    },
    /// A unix socket at an absolute path.
    Unix(PathBuf),
}

/// A text that is no address to listen on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenAddressError {
    /// The text has none of the forms.
    #[error("expected HOST:PORT, :PORT or unix:/path")]
    Form,
    /// The path of the socket is relative.
    #[error("a unix socket needs an absolute path: expected HOST:PORT, :PORT or unix:/path")]
    RelativePath,
    /// The port is no number of 16 bits.
    #[error("port {0:?} is not 0 to 65535: expected HOST:PORT, :PORT or unix:/path")]
    Port(String),
    /// An IPv6 address has no brackets.
    #[error("an IPv6 address goes in brackets: expected HOST:PORT, :PORT or unix:/path")]
    Brackets,
}

impl FromStr for ListenAddress {
    type Err = ListenAddressError;

    fn from_str(text: &str) -> Result<Self, ListenAddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_absolute = path.starts_with('/');
            return is_absolute
                .then(|| Self::Unix(path.into()))
                .ok_or(ListenAddressError::RelativePath);
        }
        let (host, port) = text.rsplit_once(':').ok_or(ListenAddressError::Form)?;
        let port = port.parse().map_err(|_| ListenAddressError::Port(port.to_owned()))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(ListenAddressError::Brackets);
        }
        Ok(Self::Tcp { host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_each_form_and_prints_it_back() {
        for text in [":9443", "0.0.0.0:1", "[::1]:9443", "localhost:0", "unix:/run/x.sock"] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for text in ["", "9443", "::1:9443", "host:", "host:65536", "host:x", "unix:relative"] {
            assert!(text.parse::<ListenAddress>().is_err(), "{text}");
        }
    }
}
