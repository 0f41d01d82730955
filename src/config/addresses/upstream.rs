//! Addresses of exporters: `http://HOST:PORT`, `https://HOST:PORT`, `unix:/path`.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

/// The address of an exporter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// An exporter that speaks plaintext.
    Http {
        /// A name or an address, without brackets.
        host: String,
        /// The port, from 1.
        port: u16,
    },
    /// An exporter that speaks TLS; only for routes, which say whom to trust.
    Https {
        /// A name or an address, without brackets.
        host: String,
        /// The port, from 1.
        port: u16,
    },
    /// An exporter behind a unix socket, at an absolute path.
    Unix(PathBuf),
    /// The guard's own metrics.
    Own,
}

/// A text that is no address of an exporter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// The text has none of the forms.
    #[error("expected http://HOST:PORT, unix:/path or self")]
    Form,
    /// The path of the socket is relative.
    #[error("a unix socket needs an absolute path: expected http://HOST:PORT, unix:/path or self")]
    RelativePath,
    /// The URL has more than an address.
    #[error("no path, query or user here: expected http://HOST:PORT, unix:/path or self")]
    MoreThanAddress,
    /// The host is missing or malformed.
    #[error("no host, or none that can be: expected http://HOST:PORT, unix:/path or self")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("port is not 1 to 65535: expected http://HOST:PORT, unix:/path or self")]
    Port,
    /// The exporter is asked for in TLS where only plaintext is possible.
    #[error("the upstream is a plaintext exporter: expected http://HOST:PORT, unix:/path or self")]
    Https,
}

impl Upstream {
    /// Parses the address of an exporter that speaks plaintext, as `--upstream` takes it.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the text, or [`UpstreamError::Https`].
    pub fn parse_plaintext(text: &str) -> Result<Self, UpstreamError> {
        match text.parse()? {
            Self::Https { .. } => Err(UpstreamError::Https),
            upstream => Ok(upstream),
        }
    }
}

impl FromStr for Upstream {
    type Err = UpstreamError;

    fn from_str(text: &str) -> Result<Self, UpstreamError> {
        if text == "self" {
            return Ok(Self::Own);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            let is_absolute = path.starts_with('/');
            return is_absolute.then(|| Self::Unix(path.into())).ok_or(UpstreamError::RelativePath);
        }
        let uri: http::Uri = text.parse().map_err(|_| UpstreamError::Form)?;
        let is_tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(UpstreamError::Form),
        };
        let authority = uri.authority().ok_or(UpstreamError::Form)?;
        let has_user = authority.as_str().contains('@');
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || has_user {
            return Err(UpstreamError::MoreThanAddress);
        }
        let host = match authority.host().strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(bare) if bare.parse::<Ipv6Addr>().is_ok() => bare.to_owned(),
            None if !authority.host().is_empty() => authority.host().to_owned(),
            _ => return Err(UpstreamError::Host),
        };
        let port = match authority.port() {
            Some(port) if port.as_u16() != 0 => port.as_u16(),
            None if authority.as_str() == authority.host() => {
                if is_tls {
                    443
                } else {
                    80
                }
            }
            _ => return Err(UpstreamError::Port),
        };
        Ok(if is_tls { Self::Https { host, port } } else { Self::Http { host, port } })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { host, port } if host.contains(':') => write!(f, "http://[{host}]:{port}"),
            Self::Http { host, port } => write!(f, "http://{host}:{port}"),
            Self::Https { host, port } if host.contains(':') => {
                write!(f, "https://[{host}]:{port}")
            }
            Self::Https { host, port } => write!(f, "https://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Own => f.write_str("self"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_each_form_and_prints_it_back() {
        for text in [
            "http://127.0.0.1:9100",
            "http://[::1]:9100",
            "https://a.example:9100",
            "unix:/run/e.sock",
            "self",
        ] {
            assert_eq!(text.parse::<Upstream>().unwrap().to_string(), text);
        }
        assert_eq!("http://a/".parse::<Upstream>().unwrap().to_string(), "http://a:80");
        assert_eq!("https://a".parse::<Upstream>().unwrap().to_string(), "https://a:443");
    }

    #[test]
    fn refuses_what_is_no_exporter() {
        for text in [
            "",
            "127.0.0.1:9100",
            "http://a:1/metrics",
            "http://u:p@a:1",
            "http://a:99999",
            "http://a:0",
            "http://:9100",
            "http://[::x]:1",
            "unix:relative",
            "http://a:1?x",
        ] {
            assert!(text.parse::<Upstream>().is_err(), "{text}");
        }
    }
}
