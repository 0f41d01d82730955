//! `proxy`: the section of exporter-guard itself. A file without it behaves as the exporter-toolkit
//! documents.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::keys::Section;
use super::keys::proxy::{TOKENS, TOKENS_FILE};
use super::keys::route::ACCESS;
use super::per_listener::PerListener;
use super::routes::{EntryKind, References, RouteConfig, RouteEntry, RouteSet};
use super::sections::listeners::{self, OtherSections};
use super::sections::{
    Limits, ProxyProtocol, SniCertificate, TlsConfig, TlsSection, Token, User, tokens,
};

/// The settings of the section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The limits of time and of what one client may have.
    pub limits: Limits,
    /// The listeners behind a load balancer.
    pub proxy_protocol: Vec<ProxyProtocol>,
    /// The bearer tokens.
    pub tokens: Vec<Token>,
    /// The routes that the file lists, or else the default route alone.
    pub routes: Vec<Arc<RouteConfig>>,
    /// The keys that the section has, be they empty.
    pub declared: Vec<&'static str>,
}

impl Default for Proxy {
    /// A file without `proxy`.
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            proxy_protocol: Vec::new(),
            tokens: Vec::new(),
            routes: vec![Arc::new(RouteConfig::default())],
            declared: Vec::new(),
        }
    }
}

impl Proxy {
    /// Reads the section, and what each listener has of TLS; `tls` is that of listeners without their
    /// own.
    pub(super) fn read(
        section: &Section<'_>,
        tls: TlsSection,
        users: &[User],
        http2: bool,
    ) -> (Self, PerListener<Option<TlsConfig>>) {
        let others = OtherSections { has_users: !users.is_empty(), http2 };
        let more = SniCertificate::read_all(section, tls.is_off());
        let own = listeners::read(section, others);
        let tls = PerListener { all: tls.with_certificates(more), own };
        let tokens = tokens::read(section);
        let routes = routes(section, users, &tokens, &tls);
        let proxy = Self {
            limits: Limits::read(Some(section)),
            proxy_protocol: ProxyProtocol::read_all(section),
            tokens,
            routes: routes.into_iter().map(Arc::new).collect(),
            declared: section.declared(),
        };
        (proxy, tls.map(TlsSection::into_option))
    }

    /// Returns whether the file lists routes, be they none.
    pub fn lists_routes(&self) -> bool {
        !matches!(self.routes.as_slice(), [route] if route.is_default)
    }

    /// Returns whether a connection to this listener begins with a PROXY header.
    pub fn expects_proxy_protocol(&self, listener: &str, from: Option<SocketAddr>) -> bool {
        self.proxy_protocol
            .iter()
            .any(|rule| rule.listen_address == listener && rule.is_expected_from(from))
    }
}

fn routes(
    section: &Section<'_>,
    users: &[User],
    tokens: &[Token],
    tls: &PerListener<TlsSection>,
) -> Vec<RouteConfig> {
    let references = References {
        users: users.iter().map(|user| user.name.as_str()).collect::<HashSet<_>>(),
        tokens: tokens.iter().map(|token| token.name.as_str()).collect(),
        client_auth: &tls.as_ref().map(TlsSection::client_auth),
        client_cas: &tls.as_ref().map(TlsSection::client_ca),
    };
    match RouteSet::read(section, &references) {
        Some(routes) => routes.finish(),
        None => vec![default_route(section, &references)],
    }
}

fn default_route(section: &Section<'_>, references: &References<'_>) -> RouteConfig {
    if !section.has(&ACCESS) {
        for value in [section.find(&TOKENS), section.find(&TOKENS_FILE)].into_iter().flatten() {
            value.error(
                "no rule of proxy.access asks for tokens; for users and all tokens write `access: \
                 [{any_user: true}, {tokens: [NAME]}]`",
            );
        }
    }
    let entry = RouteEntry { section, kind: EntryKind::Default };
    RouteConfig::read_default(&entry, references)
}
