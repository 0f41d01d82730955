//! Where to listen: `HOST:PORT`, `:PORT`, `unix:/path`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A listen address as the flags give it; host names are resolved when it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An empty host means every address, IPv4 and IPv6.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "expected HOST:PORT, :PORT or unix:/path";
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!("a unix socket needs an absolute path: {wanted}"))
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(wanted)?;
        let port =
            port.parse().map_err(|_| format!("port {port:?} is not 0 to 65535: {wanted}"))?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if bare.is_none() && host.contains(':') {
            return Err(format!("an IPv6 address goes in brackets: {wanted}"));
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
