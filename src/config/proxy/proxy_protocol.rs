//! `proxy.proxy_protocol`: which listeners are behind a load balancer that says who its client is,
//! and who that balancer is.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::network;
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node};

/// For connections over a unix socket, which have no address.
const UNIX: &str = "unix";

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyProtocol {
    /// As `--web.listen-address` gives it.
    pub listen_address: String,
    sources: Vec<IpNet>,
    unix: bool,
}

impl ProxyProtocol {
    /// Whether a connection from there begins with a header. From elsewhere none is looked for.
    pub fn is_expected_from(&self, address: Option<SocketAddr>) -> bool {
        match address.map(|address| address.ip().to_canonical()) {
            None => self.unix,
            Some(ip) => self.sources.iter().any(|network| network.contains(&ip)),
        }
    }

    pub(super) fn validate(node: &Node, problems: &mut Problems) -> Vec<Self> {
        let place = "proxy.proxy_protocol";
        match &node.kind {
            Kind::Sequence(items) => {
                items.iter().filter_map(|item| Self::listener(item, problems)).collect()
            }
            Kind::Null => Vec::new(),
            _ => {
                problems.error(node, format!("{place}: expected a list of listeners"));
                Vec::new()
            }
        }
    }

    fn listener(node: &Node, problems: &mut Problems) -> Option<Self> {
        let place = "proxy.proxy_protocol";
        let section = node.section(place, &["listen_address", "sources"], problems);
        let address = section.get("listen_address");
        let listen_address = address.and_then(|node| node.string(place, problems));
        if listen_address.is_none() {
            let message = "listen_address: missing; write it as --web.listen-address has it";
            problems.error(node, format!("{place}.{message}"));
        }
        let mut result = Self {
            listen_address: listen_address.unwrap_or_default().to_owned(),
            sources: Vec::new(),
            unix: false,
        };
        let sources = section.get("sources").map(|node| node.strings(place, problems));
        let sources = sources.unwrap_or_default();
        if sources.is_empty() {
            let message = "sources: missing; list the addresses of the load balancers, such as \
                           10.0.0.0/8";
            problems.error(node, format!("{place}.{message}"));
        }
        for (item, text) in sources {
            match network(text) {
                _ if text == UNIX => result.unix = true,
                Some(network) => result.sources.push(network),
                None => problems.error(
                    item,
                    format!(
                        "{place}.sources: expected an address, a network or unix, found {text:?}; a \
                         network such as 10.0.0.0/8 has nothing after its mask"
                    ),
                ),
            }
        }
        Some(result)
    }
}
