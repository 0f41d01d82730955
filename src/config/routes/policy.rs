//! The policy of a route: who may use it, from where, and for what.

use std::time::Duration;

use super::access::{AccessRules, References};
use super::entry::{EntryKind, RouteEntry};
use super::path::is_plain;
use super::upstream_tls::UpstreamTls;
use crate::config::addresses::Upstream;
use crate::config::keys::route::{
    CACHE_FOR, COALESCE, HOSTS, METHODS, PUBLIC_PATHS, ROUTE_LISTENERS, ROUTE_MAX_IN_FLIGHT,
    SAME_FOR_ALL,
};
use crate::config::keys::{Section, TextValue};

/// The methods of a listed route that does not name any.
const USUAL_METHODS: [&str; 2] = ["GET", "HEAD"];

/// The policy of a route: who may use it, from where, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePolicy {
    /// The hosts, in lower case and without ports; empty: any.
    pub hosts: Vec<String>,
    /// The listeners, as `--web.listen-address` has them; empty: all.
    pub listeners: Vec<String>,
    /// The TLS towards upstreams with `https`.
    pub upstream_tls: Option<UpstreamTls>,
    /// The methods; `None`: any method, on the default route alone.
    pub methods: Option<Vec<String>>,
    /// The paths for which nobody has to show anything, as the exporter sees them.
    pub public_paths: Vec<String>,
    /// The rules of access.
    pub access: AccessRules,
    /// The sharing of answers; `None`: each request is forwarded.
    pub sharing: Option<Sharing>,
    /// The requests that the exporter answers at a time; `None`: as many as `proxy.limits` says.
    pub max_in_flight: Option<usize>,
}

/// The requests that share an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// The time for which an answer is given again; zero: only to requests that came before it.
    pub cache_for: Duration,
    /// True if everybody gets the same answer; else each identity has its own.
    pub same_for_all: bool,
}

impl Default for RoutePolicy {
    /// The policy of the default route: what the exporter-toolkit does.
    fn default() -> Self {
        Self {
            hosts: Vec::new(),
            listeners: Vec::new(),
            upstream_tls: None,
            methods: None,
            public_paths: Vec::new(),
            access: AccessRules::Toolkit,
            sharing: None,
            max_in_flight: None,
        }
    }
}

impl RoutePolicy {
    /// Reads the policy of an entry whose routes lead to `upstreams`.
    pub(super) fn read(
        entry: &RouteEntry<'_>,
        upstreams: &[Upstream],
        references: &References<'_>,
    ) -> Self {
        // Directly under `proxy` none of these four may stand.
        let own = (entry.kind != EntryKind::Default).then_some(entry.section);
        let listeners = own.and_then(|section| section.get(&ROUTE_LISTENERS)).unwrap_or_default();
        let listeners: Vec<String> =
            listeners.iter().map(|text| text.as_str().to_owned()).collect();
        Self {
            hosts: own.map(hosts).unwrap_or_default(),
            upstream_tls: own.and_then(|_| UpstreamTls::read(entry, upstreams)),
            methods: methods(entry),
            public_paths: public_paths(entry.section),
            access: AccessRules::read(entry, &listeners, references),
            listeners,
            sharing: sharing(entry.section),
            max_in_flight: own.and_then(|section| section.get(&ROUTE_MAX_IN_FLIGHT)),
        }
    }
}

fn hosts(section: &Section<'_>) -> Vec<String> {
    let texts = section.get(&HOSTS).unwrap_or_default();
    texts.iter().filter_map(host).collect()
}

fn host(text: &TextValue<'_>) -> Option<String> {
    let authority: Option<http::uri::Authority> = text.as_str().parse().ok();
    match authority {
        Some(_) if text.as_str().contains('*') => {
            text.error("no patterns here; a route without hosts is for all of them");
            None
        }
        Some(authority) if authority.as_str() == authority.host() => {
            Some(text.as_str().trim_end_matches('.').to_ascii_lowercase())
        }
        _ => {
            text.error("expected a host name or address without a port");
            None
        }
    }
}

fn methods(entry: &RouteEntry<'_>) -> Option<Vec<String>> {
    let methods = entry.section.get(&METHODS).unwrap_or_default();
    let named = |methods: &[&str]| Some(methods.iter().copied().map(str::to_owned).collect());
    match (methods.is_empty(), entry.kind) {
        (true, EntryKind::Default) => None,
        (true, _) => named(&USUAL_METHODS),
        (false, _) => named(&methods),
    }
}

fn public_paths(section: &Section<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    for text in section.get(&PUBLIC_PATHS).unwrap_or_default() {
        let path = text.as_str();
        match is_plain(path) {
            Ok(()) if path.ends_with("/*") => {
                text.error(format!("{path:?} is a pattern; name each path"));
            }
            Ok(()) => paths.push(path.to_owned()),
            Err(error) => text.error(format!("{path:?} {error}")),
        }
    }
    paths
}

fn sharing(section: &Section<'_>) -> Option<Sharing> {
    let coalesce = section.get(&COALESCE);
    let same_for_all = section.get(&SAME_FOR_ALL);
    let same_for_all = same_for_all.unwrap_or(SAME_FOR_ALL.value_type().default());
    let cache_for = section.get(&CACHE_FOR);
    if coalesce == Some(false) && cache_for.is_some() {
        section.error(&COALESCE, "cache_for shares answers, too");
    }
    let cache_for = cache_for.unwrap_or_default();
    (coalesce == Some(true) || !cache_for.is_zero()).then_some(Sharing { cache_for, same_for_all })
}
