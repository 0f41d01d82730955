//! `proxy.proxy_protocol`: the listeners behind a load balancer that names its clients, and the
//! addresses of that balancer.

use std::net::SocketAddr;

use super::listeners::MISSING_ADDRESS;
use super::networks::Network;
use crate::config::keys::proxy::{
    PROXY_PROTOCOL, PROXY_PROTOCOL_ADDRESS, PROXY_PROTOCOL_KEY, SOURCES,
};
use crate::config::keys::{Section, Value};

/// A listener behind a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// The listener, as `--web.listen-address` gives it.
    pub listen_address: String,
    /// The networks of the load balancer.
    sources: Vec<Network>,
}

impl ProxyProtocol {
    /// Returns whether a connection from there begins with a header; from elsewhere none is looked
    /// for. `None` is a connection over a unix socket.
    pub fn is_expected_from(&self, address: Option<SocketAddr>) -> bool {
        self.sources.iter().any(|network| network.contains(address))
    }

    /// Reads the listeners of the section `proxy`.
    pub fn read_all(proxy: &Section<'_>) -> Vec<Self> {
        let items = proxy.get(&PROXY_PROTOCOL_KEY).unwrap_or_default();
        items.into_iter().map(Self::read).collect()
    }

    fn read(item: Value<'_>) -> Self {
        let section = Section::open(item, &PROXY_PROTOCOL);
        let listen_address = section.get(&PROXY_PROTOCOL_ADDRESS);
        if listen_address.is_none() {
            section.error(&PROXY_PROTOCOL_ADDRESS, MISSING_ADDRESS);
        }
        let sources = section.get(&SOURCES).unwrap_or_default();
        if sources.is_empty() {
            section.error(
                &SOURCES,
                "missing; list the addresses of the load balancers, such as 10.0.0.0/8",
            );
        }
        let listen_address = listen_address.map(|text| text.as_str().to_owned());
        Self {
            listen_address: listen_address.unwrap_or_default(),
            sources: Network::read_all(&sources),
        }
    }
}
