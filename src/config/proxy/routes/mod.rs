//! `proxy.routes`: several exporters behind one guard.

mod access;
mod overlap;
mod path;
mod upstream_tls;

use std::collections::BTreeMap;
use std::time::Duration;

pub use access::{Access, Declared, Network, Rule};
pub use path::{Pattern, Prefix, is_plain};
pub use upstream_tls::UpstreamTls;

use crate::config::duration;
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node, Section};
use crate::config::sources::Sources;
use crate::config::users::User;
use crate::upstream::Upstream;

/// What a route forwards when it does not say.
const METRICS: &str = "/metrics";
const METHODS: [&str; 2] = ["GET", "HEAD"];

/// Those a route may name: CONNECT and TRACE are nobody's (RFC 9110 section 9.3).
const KNOWN_METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// A page of metrics that is older than this misleads.
const LONGEST_CACHE: Duration = Duration::from_secs(600);

const KEYS: [&str; 15] = [
    "name",
    "path",
    "strip_path",
    "hosts",
    "upstreams",
    "upstream_tls",
    "methods",
    "paths",
    "public_paths",
    "access",
    "allowed_targets",
    "coalesce",
    "cache_for",
    "same_for_all",
    "labels",
];

/// Where the guard answers service discovery when there are routes.
pub const TARGETS: &str = "/-/targets";

/// One exporter, or replicas of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Unique; for logs, answers and service discovery.
    pub name: String,
    pub prefix: Prefix,
    /// Whether the exporter is asked without the prefix.
    pub strip: bool,
    /// In lower case, without ports; empty: any.
    pub hosts: Vec<String>,
    /// One is asked; the next when it cannot be reached.
    pub upstreams: Vec<Upstream>,
    /// For those with `https`.
    pub upstream_tls: Option<UpstreamTls>,
    pub methods: Vec<String>,
    /// As the exporter sees them.
    pub paths: Vec<Pattern>,
    /// Likewise; of these, nobody has to show anything.
    pub public_paths: Vec<String>,
    pub access: Access,
    /// What the query parameter `target` may be; `None`: anything.
    pub allowed_targets: Option<Vec<String>>,
    /// `None`: each request is forwarded.
    pub sharing: Option<Sharing>,
    /// For service discovery.
    pub labels: BTreeMap<String, String>,
}

/// Which requests share an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sharing {
    /// After it has come; zero: those alone that came before it.
    pub cache_for: Duration,
    /// Whether everybody gets the same; else each identity for itself.
    pub same_for_all: bool,
}

/// What routes may refer to.
pub struct Known<'a> {
    pub users: &'a [User],
    pub tokens: &'a [String],
    /// Whether client certificates are verified, if there are any.
    pub verifies_clients: bool,
    /// Whether nobody gets through without such a certificate.
    pub demands_clients: bool,
}

impl Route {
    /// The path that clients ask for.
    pub fn outside(&self, path: &str) -> String {
        if self.strip { format!("{}{path}", self.prefix.as_str()) } else { path.to_owned() }
    }

    /// What service discovery has for `__metrics_path__`.
    pub fn metrics_path(&self) -> String {
        let exact = self.paths.iter().find_map(Pattern::exact);
        self.outside(exact.unwrap_or(METRICS))
    }
}

pub fn validate(
    node: &Node,
    known: &Known<'_>,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Vec<Route> {
    let Kind::Sequence(items) = &node.kind else {
        problems.error(node, "proxy.routes: expected a list of routes");
        return Vec::new();
    };
    let mut routes: Vec<Route> = Vec::new();
    for item in items {
        let Some(route) = route(item, known, sources, problems) else { continue };
        for message in overlap::with_earlier(&route, &routes) {
            problems.error(item, message);
        }
        routes.push(route);
    }
    routes
}

/// `None` for what is no route at all; what is wrong with one is in `problems`.
fn route(
    node: &Node,
    known: &Known<'_>,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<Route> {
    if !matches!(node.kind, Kind::Mapping(_)) {
        problems.error(node, "proxy.routes: expected a mapping with upstreams and a path or hosts");
        return None;
    }
    let place = place_of(node);
    let section = node.section(&place, &KEYS, problems);
    let at = |key: &str| format!("{place}.{key}");
    let list = |key: &str, problems: &mut Problems| {
        section.get(key).map(|node| node.strings(&at(key), problems))
    };

    let prefix = section.get("path").and_then(|node| {
        let text = node.string(&at("path"), problems)?;
        Prefix::parse(text)
            .map_err(|what| problems.error(node, format!("{}: {text:?} {what}", at("path"))))
            .ok()
    });
    let prefix = prefix.unwrap_or_default();
    let hosts = hosts(list("hosts", problems).unwrap_or_default(), &at("hosts"), problems);
    let name = name(section.get("name"), &prefix, &hosts, node, &place, problems);
    let strip = section
        .get("strip_path")
        .and_then(|node| node.boolean(&at("strip_path"), problems))
        .unwrap_or(true);

    let mut upstreams = Vec::new();
    for (item, text) in list("upstreams", problems).unwrap_or_default() {
        match text.parse() {
            Ok(Upstream::Own) | Err(_) => problems.error(
                item,
                format!(
                    "{}: expected http://HOST:PORT, https://HOST:PORT or unix:/path",
                    at("upstreams")
                ),
            ),
            Ok(upstream) => upstreams.push(upstream),
        }
    }
    if section.get("upstreams").is_none() {
        problems.error(node, format!("{}: missing; name the exporter's address", at("upstreams")));
    }

    let upstream_tls = upstream_tls::validate(
        section.get("upstream_tls"),
        &upstreams,
        node,
        &at("upstream_tls"),
        sources,
        problems,
    );

    let mut methods = Vec::new();
    for (item, text) in list("methods", problems).unwrap_or_default() {
        if KNOWN_METHODS.contains(&text) {
            methods.push(text.to_owned());
        } else {
            let known = KNOWN_METHODS.join(", ");
            problems.error(item, format!("{}: known are {known}", at("methods")));
        }
    }
    if methods.is_empty() {
        methods = METHODS.map(str::to_owned).to_vec();
    }

    let mut paths = Vec::new();
    for (item, text) in list("paths", problems).unwrap_or_default() {
        match Pattern::parse(text) {
            Ok(pattern) if strip || prefix.covers(pattern.as_str()) => paths.push(pattern),
            Ok(_) => problems
                .error(item, format!("{}: {text:?} is not below the route's path", at("paths"))),
            Err(what) => problems.error(item, format!("{}: {text:?} {what}", at("paths"))),
        }
    }
    if paths.is_empty() {
        let text = if strip { METRICS.to_owned() } else { prefix.join(METRICS) };
        paths.extend(Pattern::parse(&text));
    }

    let mut public_paths = Vec::new();
    for (item, text) in list("public_paths", problems).unwrap_or_default() {
        match is_plain(text) {
            Ok(()) => public_paths.push(text.to_owned()),
            Err(what) => problems.error(item, format!("{}: {text:?} {what}", at("public_paths"))),
        }
    }

    let access = Access::validate(section.get("access"), node, &at("access"), known, problems);
    let allowed_targets = list("allowed_targets", problems)
        .map(|items| items.into_iter().map(|(_, text)| text.to_owned()).collect());
    let sharing = sharing(&section, &place, problems);
    let labels = section.get("labels").map(|node| labels(node, &at("labels"), problems));
    Some(Route {
        name,
        prefix,
        strip,
        hosts,
        upstreams,
        upstream_tls,
        methods,
        paths,
        public_paths,
        access,
        allowed_targets,
        sharing,
        labels: labels.unwrap_or_default(),
    })
}

fn sharing(section: &Section<'_>, place: &str, problems: &mut Problems) -> Option<Sharing> {
    let mut flag = |key: &str| {
        let node = section.get(key)?;
        node.boolean(&format!("{place}.{key}"), problems)
    };
    let (coalesce, same_for_all) = (flag("coalesce"), flag("same_for_all").unwrap_or_default());
    let cache_for = section.get("cache_for").and_then(|node| {
        let place = format!("{place}.cache_for");
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
        problems.error(node, format!("{place}.coalesce: cache_for shares answers, too"));
    }
    let cache_for = cache_for.unwrap_or_default();
    (coalesce == Some(true) || !cache_for.is_zero()).then_some(Sharing { cache_for, same_for_all })
}

/// For messages: by the name when there is one.
fn place_of(node: &Node) -> String {
    let Kind::Mapping(entries) = &node.kind else { return "proxy.routes".to_owned() };
    let name = entries.iter().find(|entry| entry.key == "name").map(|entry| &entry.value.kind);
    match name {
        Some(Kind::Scalar { text: Some(name), .. }) if is_name(name) => {
            format!("proxy.routes.{name}")
        }
        _ => "proxy.routes".to_owned(),
    }
}

/// What the file says, or what the path or the first host suggests.
fn name(
    node: Option<&Node>,
    prefix: &Prefix,
    hosts: &[String],
    route: &Node,
    place: &str,
    problems: &mut Problems,
) -> String {
    let Some(node) = node else {
        let from_path = prefix.as_str().trim_start_matches('/').replace('/', "-");
        let suggested = if from_path.is_empty() { hosts.first() } else { Some(&from_path) };
        let name = suggested.filter(|name| is_name(name)).cloned();
        return name.unwrap_or_else(|| {
            problems.error(route, format!("{place}: give the route a name"));
            String::new()
        });
    };
    let text = node.string(place, problems).unwrap_or_default();
    if !is_name(text) {
        let wanted = "letters, digits, dots, dashes and underscores, at most 64";
        problems.error(node, format!("{place}.name: expected {wanted}"));
    }
    text.to_owned()
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

fn hosts(items: Vec<(&Node, &str)>, place: &str, problems: &mut Problems) -> Vec<String> {
    let mut hosts = Vec::new();
    for (item, text) in items {
        let authority: Option<http::uri::Authority> = text.parse().ok();
        match authority {
            Some(authority) if authority.as_str() == authority.host() => {
                hosts.push(text.to_ascii_lowercase());
            }
            _ => problems
                .error(item, format!("{place}: expected a host name or address without a port")),
        }
    }
    hosts
}

/// Prometheus's rules for the names; `__` is its own.
fn labels(node: &Node, place: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for entry in node.entries(place, problems) {
        let head = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        let is_label = entry.key.bytes().next().is_some_and(head)
            && entry.key.bytes().all(|byte| head(byte) || byte.is_ascii_digit())
            && !entry.key.starts_with("__");
        if !is_label {
            let message =
                format!("{place}: a label name is letters, digits and _, without __ first");
            problems.error_at(&entry.key_path, message);
        }
        if let Some(value) = entry.value.string(place, problems) {
            labels.insert(entry.key.clone(), value.to_owned());
        }
    }
    labels
}
