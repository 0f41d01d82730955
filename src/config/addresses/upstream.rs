//! Where an exporter is: `http://HOST:PORT`, `https://HOST:PORT`, `unix:/path`.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    Http {
        host: String,
        port: u16,
    },
    /// Of a route, which says whom to trust.
    Https {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
    /// The guard's own metrics.
    Own,
}

impl FromStr for Upstream {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "expected http://HOST:PORT, unix:/path or self";
        if text == "self" {
            return Ok(Self::Own);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Unix(path.into()))
            } else {
                Err(format!("a unix socket needs an absolute path: {wanted}"))
            };
        }
        let uri: http::Uri = text.parse().map_err(|_| wanted)?;
        let default_port = match uri.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return Err(wanted.to_owned()),
        };
        let authority = uri.authority().ok_or(wanted)?;
        if !matches!(uri.path(), "" | "/")
            || uri.query().is_some()
            || authority.as_str().contains('@')
        {
            return Err(format!("no path, query or user here: {wanted}"));
        }
        let host = match authority.host().strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(bare) if bare.parse::<Ipv6Addr>().is_ok() => bare.to_owned(),
            None if !authority.host().is_empty() => authority.host().to_owned(),
            _ => return Err(format!("no host, or none that can be: {wanted}")),
        };
        let port = match authority.port() {
            Some(port) if port.as_u16() != 0 => port.as_u16(),
            None if authority.as_str() == authority.host() => default_port,
            _ => return Err(format!("port is not 1 to 65535: {wanted}")),
        };
        Ok(if default_port == 80 { Self::Http { host, port } } else { Self::Https { host, port } })
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
