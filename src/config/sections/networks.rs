//! Networks of clients: by address, or those on unix sockets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::config::keys::TextValue;

/// The name of [`Network::Unix`] in the file.
const UNIX: &str = "unix";

/// A network of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The clients with an address in this network; IPv4 in IPv6 counts as IPv4.
    Ip(IpNet),
    /// The clients on a unix socket.
    Unix,
}

/// A text that is no network.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an address, a network or unix; a network such as 10.0.0.0/8 has nothing after its mask"
)]
pub struct InvalidNetwork;

impl Network {
    /// Returns whether a client is in the network; `None` is a client on a unix socket.
    pub fn contains(&self, address: Option<SocketAddr>) -> bool {
        match (self, address.map(|address| address.ip().to_canonical())) {
            (Self::Ip(network), Some(ip)) => network.contains(&ip),
            (Self::Unix, None) => true,
            _ => false,
        }
    }

    /// Reads a list of networks; one that is none is an error.
    pub fn read_all(texts: &[TextValue<'_>]) -> Vec<Self> {
        let read = |text: &TextValue<'_>| {
            let network = text.as_str().parse();
            network.map_err(|error: InvalidNetwork| text.error(error)).ok()
        };
        texts.iter().filter_map(read).collect()
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// Parses `unix`, a network, or a single address. A network with bits after its mask may be meant
    /// otherwise, and is refused.
    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        if text == UNIX {
            return Ok(Self::Unix);
        }
        let network: Option<IpNet> =
            text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        let network = network.filter(|network| *network == network.trunc());
        network.map(Self::Ip).ok_or(InvalidNetwork)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(network) => network.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}
