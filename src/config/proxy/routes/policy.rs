//! What a route says beside where it leads: who may use it, from where, and for what.

use std::time::Duration;

use super::upstream_tls::UpstreamTls;
use super::{AccessRules, Known, is_plain, upstream_tls};
use crate::config::findings::Problems;
use crate::config::node::{Node, Section};
use crate::config::sources::ConfigFiles;
use crate::config::{Upstream, duration};

pub const KEYS: [&str; 9] = [
    "hosts",
    "listeners",
    "upstream_tls",
    "methods",
    "public_paths",
    "access",
    "coalesce",
    "cache_for",
    "same_for_all",
];

const METHODS: [&str; 2] = ["GET", "HEAD"];

/// Those a route may name: CONNECT and TRACE are nobody's (RFC 9110 section 9.3).
const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A page of metrics that is older than this misleads.
const LONGEST_CACHE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutePolicy {
    /// In lower case, without ports; empty: any.
    pub hosts: Vec<String>,
    /// As `--web.listen-address` has them; empty: all.
    pub listeners: Vec<String>,
    /// For upstreams with `https`.
    pub upstream_tls: Option<UpstreamTls>,
    pub methods: Vec<String>,
    /// As the exporter sees them; of these, nobody has to show anything.
    pub public_paths: Vec<String>,
    pub access: AccessRules,
    /// `None`: each request is forwarded.
    pub sharing: Option<Sharing>,
}

/// Which requests share an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// After it has come; zero: those alone that came before it.
    pub cache_for: Duration,
    /// Whether everybody gets the same; else each identity for itself.
    pub same_for_all: bool,
}

/// Where the file has them.
pub struct Entry<'a> {
    pub node: &'a Node,
    pub section: &'a Section<'a>,
    /// For messages.
    pub place: &'a str,
    /// Whether there may be none of a kind at times.
    pub upstreams_vary: bool,
}

impl Entry<'_> {
    pub fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.place)
    }

    fn list(&self, key: &str, problems: &mut Problems) -> Vec<(&Node, &str)> {
        let node = self.section.get(key);
        node.map(|node| node.strings(&self.at(key), problems)).unwrap_or_default()
    }
}

impl RoutePolicy {
    /// `upstreams`: that they are for.
    pub(super) fn read(
        entry: &Entry<'_>,
        upstreams: &[Upstream],
        known: &Known<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) -> Self {
        let Entry { node, section, .. } = entry;
        let listeners = entry.list("listeners", problems);
        let listeners: Vec<String> =
            listeners.into_iter().map(|(_, text)| text.to_owned()).collect();
        Self {
            hosts: hosts(entry, problems),
            upstream_tls: upstream_tls::validate(entry, upstreams, sources, problems),
            methods: methods(entry, problems),
            public_paths: public_paths(entry, problems),
            access: AccessRules::validate(
                section.get("access"),
                node,
                &entry.at("access"),
                &known.through(&listeners),
                problems,
            ),
            listeners,
            sharing: sharing(entry, problems),
        }
    }
}

fn hosts(entry: &Entry<'_>, problems: &mut Problems) -> Vec<String> {
    let place = entry.at("hosts");
    let mut hosts = Vec::new();
    for (item, text) in entry.list("hosts", problems) {
        let authority: Option<http::uri::Authority> = text.parse().ok();
        match authority {
            Some(_) if text.contains('*') => problems.error(
                item,
                format!("{place}: no patterns here; a route without hosts is for all of them"),
            ),
            Some(authority) if authority.as_str() == authority.host() => {
                hosts.push(text.trim_end_matches('.').to_ascii_lowercase());
            }
            _ => problems
                .error(item, format!("{place}: expected a host name or address without a port")),
        }
    }
    hosts
}

fn methods(entry: &Entry<'_>, problems: &mut Problems) -> Vec<String> {
    let mut methods = Vec::new();
    for (item, text) in entry.list("methods", problems) {
        if KNOWN_METHODS.contains(&text) {
            methods.push(text.to_owned());
        } else {
            let known = KNOWN_METHODS.join(", ");
            problems.error(item, format!("{}: known are {known}", entry.at("methods")));
        }
    }
    if methods.is_empty() {
        methods = METHODS.map(str::to_owned).to_vec();
    }
    methods
}

fn public_paths(entry: &Entry<'_>, problems: &mut Problems) -> Vec<String> {
    let place = entry.at("public_paths");
    let mut paths = Vec::new();
    for (item, text) in entry.list("public_paths", problems) {
        match is_plain(text) {
            Ok(()) if text.ends_with("/*") => {
                problems.error(item, format!("{place}: {text:?} is a pattern; name each path"));
            }
            Ok(()) => paths.push(text.to_owned()),
            Err(what) => problems.error(item, format!("{place}: {text:?} {what}")),
        }
    }
    paths
}

fn sharing(entry: &Entry<'_>, problems: &mut Problems) -> Option<Sharing> {
    let Entry { section, .. } = entry;
    let mut flag = |key: &str| section.get(key)?.boolean(&entry.at(key), problems);
    let (coalesce, same_for_all) = (flag("coalesce"), flag("same_for_all").unwrap_or_default());
    let cache_for = section.get("cache_for").and_then(|node| {
        let place = entry.at("cache_for");
        let text = node.string(&place, problems)?;
        match duration::parse(text) {
            Ok(duration) if duration <= LONGEST_CACHE => Some(duration),
            Ok(_) => {
                problems.error(node, format!("{place}: at most 10m"));
                None
            }
            Err(error) => {
                problems.error(node, format!("{place}: {error}"));
                None
            }
        }
    });
    if let (Some(false), Some(_)) = (coalesce, cache_for)
        && let Some(node) = section.get("coalesce")
    {
        problems.error(node, format!("{}: cache_for shares answers, too", entry.at("coalesce")));
    }
    let cache_for = cache_for.unwrap_or_default();
    (coalesce == Some(true) || !cache_for.is_zero()).then_some(Sharing { cache_for, same_for_all })
}
