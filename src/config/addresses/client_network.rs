//! Who counts as one client: the unit of every limit by address.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Whoever can have all of it counts as one: an IPv6 host may give itself any address of the /64 that
/// its link is (RFC 4862). All hosts of the link are then one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClientNetwork {
    V4(Ipv4Addr),
    /// The upper half of the address.
    V6(u64),
    /// A unix socket.
    Local,
}

impl ClientNetwork {
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
