//! `proxy`: the section of our own. A file without it behaves as the exporter-toolkit documents.

mod certificates;
mod files;
mod limits;
mod proxy_protocol;
pub mod routes;
mod tokens;

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

pub use certificates::Certificate;
pub use limits::Limits;
pub use proxy_protocol::ProxyProtocol;
pub use routes::Route;
pub use tokens::Token;

use super::findings::Problems;
use super::node::Node;
use super::sources::Sources;
use super::tls::ClientAuth;
use super::users::User;

const KEYS: [&str; 7] =
    ["public_paths", "limits", "proxy_protocol", "certificates", "tokens", "tokens_file", "routes"];

/// What the other sections say that routes depend on.
pub struct Others<'a> {
    pub users: &'a [User],
    pub client_auth: ClientAuth,
    /// Whether there is any.
    pub tls: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// Request targets that are answered without credentials, compared as they are.
    pub public_paths: Vec<String>,
    pub limits: Limits,
    /// Listeners behind a load balancer; none by default.
    pub proxy_protocol: Vec<ProxyProtocol>,
    /// Beside that of `tls_server_config`.
    pub certificates: Vec<Certificate>,
    pub tokens: Vec<Token>,
    /// `None`: everything goes to `--upstream`.
    pub routes: Option<Vec<Route>>,
}

impl Proxy {
    pub(super) fn validate(
        node: Option<&Node>,
        others: &Others<'_>,
        sources: &mut Sources,
        problems: &mut Problems,
    ) -> Self {
        let Some(node) = node else { return Self::default() };
        let section = node.section("proxy", &KEYS, problems);
        let tokens = tokens::validate(&section, sources, problems);
        let names: Vec<String> = tokens.iter().map(|token| token.name.clone()).collect();
        let known = routes::Known {
            users: others.users,
            tokens: &names,
            verifies_clients: others.client_auth.verifies(),
            demands_clients: others.client_auth == ClientAuth::RequireAndVerify,
        };
        let routes =
            section.get("routes").map(|node| routes::validate(node, &known, sources, problems));
        if let (Some(_), Some(node)) = (&routes, section.get("public_paths")) {
            problems.error(node, "proxy.public_paths: with routes, each has its own public_paths");
        }
        if let (None, Some(node)) = (&routes, section.get("tokens")) {
            problems.error(node, "proxy.tokens: without routes nobody asks for tokens");
        }
        let certificates = section.get("certificates");
        if let Some(node) = certificates.filter(|_| !others.tls) {
            problems.error(node, "proxy.certificates: without tls_server_config there is no TLS");
        }
        Self {
            certificates: certificates
                .map(|node| certificates::validate(node, sources, problems))
                .unwrap_or_default(),
            tokens,
            routes,
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

    pub fn has_public_paths(&self) -> bool {
        let routes = self.routes.iter().flatten();
        !self.public_paths.is_empty() || routes.into_iter().any(|r| !r.public_paths.is_empty())
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
        // A path that different programs could read differently must not be public.
        match routes::is_plain(path) {
            Err(what) => problems.error(item, format!("{place}: {path:?} {what}")),
            Ok(()) => paths.push(path.to_owned()),
        }
    }
    paths
}

/// A single address is a network of one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
