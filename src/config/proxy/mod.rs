//! `proxy`: the section of our own. A file without it behaves as the exporter-toolkit documents.

mod certificates;
mod files;
mod limits;
mod listeners;
mod proxy_protocol;
pub mod routes;
mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;

pub use certificates::SniCertificate;
pub use limits::Limits;
pub use proxy_protocol::ProxyProtocol;
pub use routes::RouteConfig;
pub use tokens::{Token, TokenHash};

use super::findings::Problems;
use super::node::{Node, Section};
use super::per_listener::PerListener;
use super::sources::ConfigFiles;
use super::tls::{ClientAuth, Outcome, TlsConfig};
use super::users::User;

const KEYS: [&str; 8] = [
    "limits",
    "proxy_protocol",
    "certificates",
    "listeners",
    "tokens",
    "tokens_file",
    "routes",
    "file_sd_configs",
];

/// What the other sections say that routes depend on.
pub struct Others<'a> {
    pub users: &'a [User],
    pub http2: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    pub limits: Limits,
    /// Listeners behind a load balancer; none by default.
    pub proxy_protocol: Vec<ProxyProtocol>,
    pub tokens: Vec<Token>,
    /// The routes that the file lists, or else the default route alone.
    pub routes: Vec<Arc<RouteConfig>>,
}

impl Default for Proxy {
    /// A file without `proxy`.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            proxy_protocol: Vec::new(),
            tokens: Vec::new(),
            routes: vec![Arc::new(RouteConfig::default())],
        }
    }
}

impl Proxy {
    /// With what each listener does of TLS; `tls`: of those that have none of their own.
    pub(super) fn validate(
        node: Option<&Node>,
        tls: Outcome,
        others: &Others<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) -> (Self, PerListener<Option<TlsConfig>>) {
        let Some(node) = node else {
            return (Self::default(), PerListener::same(tls.into_option()));
        };
        let keys = [&KEYS[..], &routes::shared_keys()].concat();
        let section = node.section("proxy", &keys, problems);
        let more = section.get("certificates");
        let more = certificates::validate(more, &tls, "proxy.certificates", sources, problems);
        let listeners = section.get("listeners");
        let own = listeners.map(|node| listeners::validate(node, others, sources, problems));
        let tls = PerListener { all: tls.with_certificates(more), own: own.unwrap_or_default() };
        let proxy = Self::with_section(
            node,
            &section,
            &tls.as_ref().map(Outcome::client_auth),
            others,
            sources,
            problems,
        );
        (proxy, tls.map(Outcome::into_option))
    }

    fn with_section(
        node: &Node,
        section: &Section<'_>,
        client_auth: &PerListener<ClientAuth>,
        others: &Others<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) -> Self {
        let tokens = tokens::validate(section, sources, problems);
        let names: Vec<String> = tokens.iter().map(|token| token.name.clone()).collect();
        let known = routes::Known { users: others.users, tokens: &names, client_auth };
        let mut collected: Option<routes::Collected> = None;
        if let Some(node) = section.get("routes") {
            collected.get_or_insert_default().add(node, section, &known, sources, problems);
        }
        if let Some(node) = section.get("file_sd_configs") {
            collected.get_or_insert_default().add_file_sd(node, section, &known, sources, problems);
        }
        let routes = match collected {
            Some(collected) => collected.finish(problems),
            None => {
                let route = routes::default_route(node, section, &known, sources, problems);
                for key in ["tokens", "tokens_file"] {
                    let node = section.get(key).filter(|_| section.get("access").is_none());
                    if let Some(node) = node {
                        let message = format!(
                            "proxy.{key}: no rule of proxy.access asks for tokens; for users and \
                             all tokens write `access: [{{any_user: true}}, {{tokens: [NAME]}}]`"
                        );
                        problems.error(node, message);
                    }
                }
                vec![route]
            }
        };
        Self {
            tokens,
            routes: routes.into_iter().map(Arc::new).collect(),
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

    /// Returns whether the file lists routes, be they none.
    pub fn lists_routes(&self) -> bool {
        !matches!(self.routes.as_slice(), [route] if route.is_default)
    }

    /// On the listeners of whose names this holds.
    pub fn has_public_paths(&self, is_there: impl Fn(&String) -> bool) -> bool {
        let is_reached =
            |listeners: &[String]| listeners.is_empty() || listeners.iter().any(&is_there);
        let of_route = |route: &RouteConfig| {
            !route.policy.public_paths.is_empty() && is_reached(&route.policy.listeners)
        };
        self.routes.iter().any(|route| of_route(route))
    }

    /// Whether a connection to this listener begins with a PROXY header.
    pub fn expects_proxy_protocol(&self, listener: &str, from: Option<SocketAddr>) -> bool {
        self.proxy_protocol
            .iter()
            .any(|rule| rule.listen_address == listener && rule.is_expected_from(from))
    }
}

/// A single address is a network of one. One with bits after its mask may be meant otherwise.
fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    network.filter(|network| *network == network.trunc())
}
