//! What a route says beside where it leads: who may use it, from where, and for what.

use std::time::Duration;

use super::upstream_tls::UpstreamTls;
use super::{AccessRules, Known, is_plain, upstream_tls};
use crate::config::findings::Problems;
use crate::config::node::{Node, Section};
use crate::config::sources::ConfigFiles;
use crate::config::{Upstream, duration};

pub const KEYS: [&str; 3] = ["hosts", "listeners", "upstream_tls"];

/// Keys that may stand directly under `proxy` as well: without `routes` they are the default route's,
/// with `routes` the defaults of each route.
pub const SHARED_KEYS: [&str; 6] =
    ["methods", "public_paths", "access", "coalesce", "cache_for", "same_for_all"];

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
    /// `None`: any method, on the default route alone.
    pub methods: Option<Vec<String>>,
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

/// The kind of an entry, which decides what holds without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `proxy` itself, for the default route: what the exporter-toolkit does.
    Default,
    /// An item of `proxy.routes`.
    Listed,
    /// An item of `proxy.file_sd_configs`, whose upstreams come and go.
    FileSd,
}

/// The place of a route's keys in the file.
pub struct Entry<'a> {
    pub node: &'a Node,
    pub section: &'a Section<'a>,
    /// `proxy`, whose keys are the defaults of every route.
    pub defaults: Option<&'a Section<'a>>,
    /// For messages.
    pub place: &'a str,
    pub kind: EntryKind,
}

impl<'a> Entry<'a> {
    /// Returns the entry's own value, or the one under `proxy`, with the place for messages.
    pub fn find(&self, key: &str) -> Option<(&'a Node, String)> {
        let own = self.section.get(key).map(|node| (node, format!("{}.{key}", self.place)));
        let is_shared = || super::shared_keys().contains(&key);
        own.or_else(|| {
            let defaults = self.defaults.filter(|_| is_shared())?;
            Some((defaults.get(key)?, format!("proxy.{key}")))
        })
    }

    /// Returns the keys of the file that the entry has or inherits.
    pub fn declared(&self, keys: &[&'static str]) -> Vec<&'static str> {
        keys.iter().copied().filter(|key| self.find(key).is_some()).collect()
    }

    pub fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.place)
    }

    pub fn list(&self, key: &str, problems: &mut Problems) -> Vec<(&'a Node, &'a str)> {
        let found = self.find(key);
        found.map(|(node, place)| node.strings(&place, problems)).unwrap_or_default()
    }
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
        }
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
        // Under `proxy`, `listeners` are the listeners themselves.
        let own = entry.kind != EntryKind::Default;
        let listeners = if own { entry.list("listeners", problems) } else { Vec::new() };
        let listeners: Vec<String> =
            listeners.into_iter().map(|(_, text)| text.to_owned()).collect();
        let upstream_tls =
            if own { upstream_tls::validate(entry, upstreams, sources, problems) } else { None };
        Self {
            hosts: if own { hosts(entry, problems) } else { Vec::new() },
            upstream_tls,
            methods: methods(entry, problems),
            public_paths: public_paths(entry, problems),
            access: AccessRules::validate(entry, &known.through(&listeners), problems),
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

fn methods(entry: &Entry<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    let mut methods = Vec::new();
    for (item, text) in entry.list("methods", problems) {
        if KNOWN_METHODS.contains(&text) {
            methods.push(text.to_owned());
        } else {
            let known = KNOWN_METHODS.join(", ");
            problems.error(item, format!("{}: known are {known}", entry.at("methods")));
        }
    }
    match (methods.is_empty(), entry.kind) {
        (true, EntryKind::Default) => None,
        (true, _) => Some(METHODS.map(str::to_owned).to_vec()),
        (false, _) => Some(methods),
    }
}

fn public_paths(entry: &Entry<'_>, problems: &mut Problems) -> Vec<String> {
    let place = entry.find("public_paths").map(|(_, place)| place).unwrap_or_default();
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
    let mut flag = |key: &str| {
        let (node, place) = entry.find(key)?;
        node.boolean(&place, problems)
    };
    let (coalesce, same_for_all) = (flag("coalesce"), flag("same_for_all").unwrap_or_default());
    let cache_for = entry.find("cache_for").and_then(|(node, place)| {
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
        && let Some((node, place)) = entry.find("coalesce")
    {
        problems.error(node, format!("{place}: cache_for shares answers, too"));
    }
    let cache_for = cache_for.unwrap_or_default();
    (coalesce == Some(true) || !cache_for.is_zero()).then_some(Sharing { cache_for, same_for_all })
}
