//! The names that a certificate is made for: DNS names by RFC 1123 and IP addresses.

use std::fmt;
use std::net::IpAddr;

/// The names that every certificate has, so that a first try on the machine itself needs no name
/// service.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// The most characters of a label (RFC 1035 section 2.3.4).
const MAX_LABEL_LEN: usize = 63;
/// The most characters of a name: RFC 1035 section 2.3.4 allows 255 bytes on the wire, which are
/// 253 characters of text.
const MAX_NAME_LEN: usize = 253;

/// A valid name, in the canonical spelling that is compared and printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hostname {
    /// A DNS name in lower case.
    Dns(String),
    /// An IP address; never an IPv4-mapped IPv6 one.
    Ip(IpAddr),
}

/// The reason why a text is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidHostname {
    /// The text is empty.
    Empty,
    /// The text has more than 253 characters.
    TooLong,
    /// The text has a `*`.
    Wildcard,
    /// The text has characters outside ASCII.
    NotAscii,
    /// The text ends in a number, as an address does, but is not an address.
    Address,
    /// A label is not valid by RFC 1123.
    Label,
}

impl fmt::Display for InvalidHostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::TooLong => "it has more than 253 characters",
            Self::Wildcard => {
                "wildcards are refused, since a stolen key would then pose as every host; \
                 give each name with its own --hostname"
            }
            Self::NotAscii => "write an international name in its ASCII form (xn--…)",
            Self::Address => {
                "it is no IP address, and no DNS name ends in digits alone; \
                 give an address without port, brackets, prefix length or zone"
            }
            Self::Label => {
                "a DNS name is made of letters, digits and inner hyphens, 1 to 63 between two \
                 dots, without a final dot, port or scheme (RFC 1123)"
            }
        })
    }
}

impl Hostname {
    /// Parses a name into the spelling that clients compare: lower case, and IPv4 for an
    /// IPv4-mapped IPv6 address.
    ///
    /// # Errors
    ///
    /// Returns the reason why the text is not a host name.
    pub fn parse(text: &str) -> Result<Self, InvalidHostname> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::Ip(address.to_canonical()));
        }
        match text {
            "" => Err(InvalidHostname::Empty),
            _ if !text.is_ascii() => Err(InvalidHostname::NotAscii),
            _ if text.contains('*') => Err(InvalidHostname::Wildcard),
            _ if text.len() > MAX_NAME_LEN => Err(InvalidHostname::TooLong),
            _ if !text.split('.').all(is_label) => Err(InvalidHostname::Label),
            _ if ends_in_number(text) => Err(InvalidHostname::Address),
            _ => Ok(Self::Dns(text.to_ascii_lowercase())),
        }
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => f.write_str(name),
            Self::Ip(address) => address.fmt(f),
        }
    }
}

/// Returns whether a label is valid by RFC 1123 section 2.1. The underscore of some internal names
/// is refused, since the verifiers of Go and of browsers treat it differently.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LEN).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Returns whether the last label is all digits, which that of a DNS name never is (RFC 1123
/// section
/// 2.1): `10.0.0` is a mistyped address.
fn ends_in_number(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the given names in their order, or `own`, the name of this machine, when there are none;
/// then the names of loopback, without duplicates.
pub fn with_loopback(given: Vec<Hostname>, own: Option<Hostname>) -> Vec<Hostname> {
    let first = if given.is_empty() { own.into_iter().collect() } else { given };
    let loopback = LOOPBACK.iter().filter_map(|name| Hostname::parse(name).ok());
    let mut names = Vec::new();
    for name in first.into_iter().chain(loopback) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Returns the name of this machine, the one of gethostname(2), read without `unsafe`.
///
/// `None` when no certificate can hold the name: that is no reason to fail.
pub fn of_this_machine() -> Option<Hostname> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Hostname::parse(name.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(texts: &[&str]) -> Vec<Hostname> {
        texts.iter().map(|text| Hostname::parse(text).unwrap()).collect()
    }

    #[test]
    fn dns_names_and_addresses_are_accepted() {
        for (text, canonical) in [
            ("a", "a"),
            ("Node-1.Example.COM", "node-1.example.com"),
            ("3com.example", "3com.example"),
            ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
            ("10.0.0.1", "10.0.0.1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(Hostname::parse(text).unwrap().to_string(), canonical, "{text}");
        }
        assert!(Hostname::parse(&"a".repeat(63)).is_ok());
    }

    #[test]
    fn names_that_no_client_would_match_are_refused() {
        let long = format!("{}a", "abc.".repeat(64));
        for (text, reason) in [
            ("", InvalidHostname::Empty),
            (long.as_str(), InvalidHostname::TooLong),
            ("*.example.com", InvalidHostname::Wildcard),
            ("münchen.de", InvalidHostname::NotAscii),
            ("256.1.1.1", InvalidHostname::Address),
            ("10.0.0", InvalidHostname::Address),
            ("42", InvalidHostname::Address),
            (&"a".repeat(64), InvalidHostname::Label),
            ("-a", InvalidHostname::Label),
            ("a-", InvalidHostname::Label),
            ("a..b", InvalidHostname::Label),
            ("a.", InvalidHostname::Label),
            ("a_b", InvalidHostname::Label),
            ("a b", InvalidHostname::Label),
            ("a\n", InvalidHostname::Label),
            ("a,DNS:b", InvalidHostname::Label),
            ("a:9443", InvalidHostname::Label),
            ("[::1]", InvalidHostname::Label),
            ("10.0.0.0/8", InvalidHostname::Label),
            ("https://a", InvalidHostname::Label),
        ] {
            assert_eq!(Hostname::parse(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn the_name_of_the_machine_is_used_only_without_others() {
        let own = Some(Hostname::Dns("own".to_owned()));
        assert_eq!(
            with_loopback(Vec::new(), own.clone()),
            names(&["own", "localhost", "127.0.0.1", "::1"])
        );
        assert_eq!(
            with_loopback(names(&["b", "B", "127.0.0.1"]), own),
            names(&["b", "127.0.0.1", "localhost", "::1"])
        );
        assert_eq!(with_loopback(Vec::new(), None), names(&["localhost", "127.0.0.1", "::1"]));
    }
}
