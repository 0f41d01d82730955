//! Client networks: the unit of every limit by address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// An IPv4 address or an IPv6 /64. An IPv6 host may give itself any address of its link's /64
/// (RFC 4862), so that all hosts of a link count as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientNetwork {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The upper half of the address.
    V6(u64),
    /// A unix socket.
    Local,
}

impl ClientNetwork {
    /// Returns the network of a client; `None` is a client on a unix socket.
    pub fn of(address: Option<SocketAddr>) -> Self {
        match address.map(|address| address.ip().to_canonical()) {
            None => Self::Local,
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6(
                    [a, b, c, d].into_iter().fold(0, |high, part| high << 16 | u64::from(part)),
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_source() {
        let of = |text: &str| ClientNetwork::of(Some(text.parse().expect("an address")));
        assert_eq!(of("[2001:db8::1]:1"), of("[2001:db8::ffff:2]:9"));
        assert_ne!(of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"));
        assert_eq!(of("[2001:db8:0:1::1]:1"), ClientNetwork::V6(0x2001_0db8_0000_0001));
        assert_eq!(of("[::ffff:192.0.2.1]:1"), of("192.0.2.1:2"));
        assert_eq!(ClientNetwork::of(None), ClientNetwork::Local);
    }
}
