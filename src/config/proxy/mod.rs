//! `proxy`: the section of our own. A file without it behaves as the exporter-toolkit documents.

mod limits;
mod proxy_protocol;

pub use limits::Limits;
pub use proxy_protocol::ProxyProtocol;

use std::net::SocketAddr;

use super::findings::Problems;
use super::node::Node;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// Request targets that are answered without credentials, compared as they are.
    pub public_paths: Vec<String>,
    pub limits: Limits,
    /// Listeners behind a load balancer; none by default.
    pub proxy_protocol: Vec<ProxyProtocol>,
}

impl Proxy {
    pub(super) fn validate(node: Option<&Node>, problems: &mut Problems) -> Self {
        let Some(node) = node else { return Self::default() };
        let section =
            node.section("proxy", &["public_paths", "limits", "proxy_protocol"], problems);
        Self {
            public_paths: section
                .get("public_paths")
                .map(|node| public_paths(node, problems))
                .unwrap_or_default(),
            limits: section
                .get("limits")
                .map(|node| Limits::validate(node, problems))
                .unwrap_or_default(),
            proxy_protocol: section
                .get("proxy_protocol")
                .map(|node| ProxyProtocol::validate(node, problems))
                .unwrap_or_default(),
        }
    }

    /// Whether a connection to this listener begins with a PROXY header.
    pub fn expects_proxy_protocol(&self, listener: &str, from: Option<SocketAddr>) -> bool {
        self.proxy_protocol
            .iter()
            .any(|rule| rule.listen_address == listener && rule.is_expected_from(from))
    }
}

fn public_paths(node: &Node, problems: &mut Problems) -> Vec<String> {
    let place = "proxy.public_paths";
    let mut paths = Vec::new();
    for (item, path) in node.strings(place, problems) {
        match unusual(path) {
            Some(what) => problems.error(item, format!("{place}: {path:?} {what}")),
            None => paths.push(path.to_owned()),
        }
    }
    paths
}

/// A path that different programs could read differently must not be public.
fn unusual(path: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,=".contains(&byte);
    if !path.starts_with('/') {
        return Some("does not start with /; write for example /-/healthy");
    }
    if !path.bytes().all(plain) {
        return Some(
            "holds a character that is not plain in a path; queries, % and ; cannot be public",
        );
    }
    if path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        return Some("holds an empty or dot segment; write the path the exporter sees");
    }
    None
}
