//! `proxy.routes`: several exporters behind one guard.

mod access;
mod file_sd;
mod overlap;
mod path;
mod policy;
mod upstream_tls;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use access::{AccessRules, DeclaredConditions, Network, Rule};
pub use path::{Pattern, Prefix, is_plain};
pub use policy::{RoutePolicy, Sharing};
pub use upstream_tls::UpstreamTls;

use crate::config::Upstream;
use crate::config::document::NodePath;
use crate::config::file::File;
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node, Section};
use crate::config::per_listener::PerListener;
use crate::config::sources::ConfigFiles;
use crate::config::tls::ClientAuth;
use crate::config::users::User;

/// What a route forwards when it does not say.
const METRICS: &str = "/metrics";

/// Keys of an item of `proxy.routes` alone.
const KEYS: [&str; 4] = ["name", "path", "strip_path", "upstreams"];

/// Keys of a route that may stand directly under `proxy` as well, beside those of the policy.
const SHARED_KEYS: [&str; 3] = ["paths", "allowed_targets", "labels"];

/// The name of the default route in messages.
const DEFAULT_ROUTE: &str = "default";

/// Where the guard answers service discovery when there are routes.
pub const TARGETS: &str = "/-/targets";

/// One exporter, or replicas of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// Unique; for logs, answers and service discovery.
    pub name: String,
    /// Whether it is the route to `--upstream` that a file without `routes` has.
    pub is_default: bool,
    pub prefix: Prefix,
    /// Whether the exporter is asked without the prefix.
    pub strip: bool,
    /// One is asked; the next when it cannot be reached. Of the default route, empty: `--upstream`.
    pub upstreams: Vec<Upstream>,
    /// As the exporter sees them; `None`: any path, on the default route alone.
    pub paths: Option<Vec<Pattern>>,
    /// What the query parameter `target` may be; `None`: anything.
    pub allowed_targets: Option<Vec<String>>,
    /// For service discovery.
    pub labels: BTreeMap<String, String>,
    /// The keys that the file has, be they empty.
    pub declared: Vec<&'static str>,
    /// The same ones for all routes of an entry of `proxy.file_sd_configs`.
    pub policy: Arc<RoutePolicy>,
}

/// What routes may refer to.
pub struct Known<'a> {
    pub users: &'a [User],
    pub tokens: &'a [String],
    /// What is demanded of clients.
    pub client_auth: &'a PerListener<ClientAuth>,
}

impl Known<'_> {
    /// By a route that is reached through these listeners.
    fn through(&self, listeners: &[String]) -> access::Known<'_> {
        let client_auth: Vec<ClientAuth> = match listeners {
            [] => self.client_auth.iter().copied().collect(),
            some => some.iter().map(|listener| *self.client_auth.of(listener)).collect(),
        };
        access::Known {
            users: self.users,
            tokens: self.tokens,
            verifies_clients: client_auth.iter().any(|auth| auth.verifies()),
            demands_clients: client_auth.iter().all(|auth| *auth == ClientAuth::RequireAndVerify),
        }
    }
}

impl RouteConfig {
    /// The path that clients ask for.
    pub fn outside(&self, path: &str) -> String {
        if self.strip { format!("{}{path}", self.prefix.as_str()) } else { path.to_owned() }
    }

    /// Returns whether the exporter is asked for this path, as the exporter sees it.
    pub fn forwards(&self, path: &str) -> bool {
        let paths = self.paths.as_ref();
        paths.is_none_or(|paths| paths.iter().any(|pattern| pattern.matches(path)))
    }

    /// Returns the patterns of the paths that are forwarded; none where any path is.
    pub fn patterns(&self) -> &[Pattern] {
        self.paths.as_deref().unwrap_or_default()
    }

    /// What service discovery has for `__metrics_path__`; `None` where there is nothing to scrape.
    pub fn metrics_path(&self) -> Option<String> {
        let methods = self.policy.methods.as_ref();
        let is_scraped = methods.is_none_or(|methods| methods.iter().any(|name| name == "GET"));
        let exact = || self.patterns().iter().find_map(Pattern::exact);
        let usual = if self.strip { METRICS.to_owned() } else { self.prefix.join(METRICS) };
        let has_usual = || self.forwards(&usual);
        let path = exact().or_else(|| has_usual().then_some(usual.as_str()));
        path.filter(|_| is_scraped).map(|path| self.outside(path))
    }
}

/// The routes of the file and of those that it names, and where each is.
#[derive(Default)]
pub struct Collected {
    routes: Vec<RouteConfig>,
    places: Vec<Place>,
    files: Vec<File>,
}

enum Place {
    Here(NodePath),
    /// In the file of this number.
    Elsewhere(usize, NodePath),
}

impl Collected {
    /// What `proxy.routes` has.
    pub fn add(
        &mut self,
        node: &Node,
        defaults: &Section<'_>,
        known: &Known<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) {
        let Kind::Sequence(items) = &node.kind else {
            return problems.error(node, "proxy.routes: expected a list of routes");
        };
        for item in items {
            if let Some(route) = route(item, defaults, known, sources, problems) {
                self.routes.push(route);
                self.places.push(Place::Here(item.path.clone()));
            }
        }
    }

    /// All of them, once it is known whether each can be reached.
    pub fn finish(mut self, problems: &mut Problems) -> Vec<RouteConfig> {
        for (index, message) in overlap::find(&self.routes) {
            match &self.places[index] {
                Place::Here(path) => problems.error_at(path, message),
                Place::Elsewhere(file, path) => {
                    let remedy = format!("; a label {} gives it another name", file_sd::ROUTE);
                    self.files[*file].problems.error_at(path, message + &remedy);
                }
            }
        }
        for file in self.files {
            problems.of_file(file.into_findings());
        }
        self.routes
    }
}

/// `None` for what is no route at all; what is wrong with one is in `problems`.
fn route(
    node: &Node,
    defaults: &Section<'_>,
    known: &Known<'_>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Option<RouteConfig> {
    if !matches!(node.kind, Kind::Mapping(_)) {
        problems.error(node, "proxy.routes: expected a mapping with upstreams and a path or hosts");
        return None;
    }
    let place = place_of(node);
    let section = node.section(&place, &route_keys(), problems);
    let upstreams = upstreams(&section, node, &place, problems);
    let kind = policy::EntryKind::Listed;
    let entry =
        policy::Entry { node, section: &section, defaults: Some(defaults), place: &place, kind };
    let policy = RoutePolicy::read(&entry, &upstreams, known, sources, problems);
    let at = |key: &str| format!("{place}.{key}");
    let prefix = prefix(section.get("path"), &at("path"), problems);
    let name = name(section.get("name"), &prefix, &policy.hosts, node, &place, problems);
    let strip = section
        .get("strip_path")
        .and_then(|node| node.boolean(&at("strip_path"), problems))
        .unwrap_or(true);
    Some(RouteConfig {
        name,
        is_default: false,
        strip,
        upstreams,
        paths: Some(paths(&entry, &prefix, strip, problems)),
        prefix,
        allowed_targets: allowed_targets(&entry, problems),
        labels: labels_of(&entry, problems),
        declared: entry.declared(&route_keys()),
        policy: Arc::new(policy),
    })
}

/// The keys of an item of `proxy.routes`.
fn route_keys() -> Vec<&'static str> {
    [&KEYS[..], &SHARED_KEYS, &policy::KEYS, &policy::SHARED_KEYS].concat()
}

/// The keys of a route that may stand directly under `proxy`.
pub fn shared_keys() -> Vec<&'static str> {
    [&SHARED_KEYS[..], &policy::SHARED_KEYS].concat()
}

/// Reads the route to `--upstream` from the keys directly under `proxy`.
pub fn default_route(
    node: &Node,
    section: &Section<'_>,
    known: &Known<'_>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> RouteConfig {
    let kind = policy::EntryKind::Default;
    let entry = policy::Entry { node, section, defaults: None, place: "proxy", kind };
    let policy = RoutePolicy::read(&entry, &[], known, sources, problems);
    let has_paths = section.get("paths").is_some();
    RouteConfig {
        paths: has_paths.then(|| paths(&entry, &Prefix::default(), false, problems)),
        allowed_targets: allowed_targets(&entry, problems),
        labels: labels_of(&entry, problems),
        declared: entry.declared(&shared_keys()),
        policy: Arc::new(policy),
        ..RouteConfig::default()
    }
}

impl Default for RouteConfig {
    /// The default route of a file without `proxy`: any method, any path, and the users of the file.
    fn default() -> Self {
        Self {
            name: DEFAULT_ROUTE.to_owned(),
            is_default: true,
            prefix: Prefix::default(),
            strip: false,
            upstreams: Vec::new(),
            paths: None,
            allowed_targets: None,
            labels: BTreeMap::new(),
            declared: Vec::new(),
            policy: Arc::new(RoutePolicy::default()),
        }
    }
}

fn allowed_targets(entry: &policy::Entry<'_>, problems: &mut Problems) -> Option<Vec<String>> {
    entry.find("allowed_targets")?;
    let items = entry.list("allowed_targets", problems);
    Some(items.into_iter().map(|(_, text)| text.to_owned()).collect())
}

/// Reads the labels of an entry, and those under `proxy` that it does not give another value.
fn labels_of(entry: &policy::Entry<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    let defaults = entry.defaults.and_then(|defaults| defaults.get("labels"));
    let mut all = defaults.map(|node| labels(node, "proxy.labels", problems)).unwrap_or_default();
    if let Some(node) = entry.section.get("labels") {
        all.extend(labels(node, &entry.at("labels"), problems));
    }
    all
}

fn prefix(node: Option<&Node>, place: &str, problems: &mut Problems) -> Prefix {
    let prefix = node.and_then(|node| {
        let text = node.string(place, problems)?;
        Prefix::parse(text)
            .map_err(|what| problems.error(node, format!("{place}: {text:?} {what}")))
            .ok()
    });
    prefix.unwrap_or_default()
}

fn upstreams(
    section: &Section<'_>,
    route: &Node,
    place: &str,
    problems: &mut Problems,
) -> Vec<Upstream> {
    let place = format!("{place}.upstreams");
    let Some(node) = section.get("upstreams") else {
        problems.error(route, format!("{place}: missing; name the exporter's address"));
        return Vec::new();
    };
    let mut upstreams = Vec::new();
    for (item, text) in node.strings(&place, problems) {
        match text.parse() {
            Err(_) => problems.error(
                item,
                format!(
                    "{place}: expected http://HOST:PORT, https://HOST:PORT, unix:/path or self"
                ),
            ),
            Ok(upstream) => upstreams.push(upstream),
        }
    }
    if upstreams.len() > 1 && upstreams.contains(&Upstream::Own) {
        problems.error(node, format!("{place}: self has no replicas; give it a route of its own"));
    }
    if upstreams.is_empty() {
        problems.error(node, format!("{place}: none; name the exporter's address"));
    }
    upstreams
}

fn paths(
    entry: &policy::Entry<'_>,
    prefix: &Prefix,
    strip: bool,
    problems: &mut Problems,
) -> Vec<Pattern> {
    let mut paths = Vec::new();
    let place = entry.find("paths").map(|(_, place)| place).unwrap_or_default();
    for (item, text) in entry.list("paths", problems) {
        match Pattern::parse(text) {
            Ok(pattern) if strip || prefix.covers(pattern.as_str()) => paths.push(pattern),
            Ok(_) => {
                problems.error(item, format!("{place}: {text:?} is not below the route's path"));
            }
            Err(what) => problems.error(item, format!("{place}: {text:?} {what}")),
        }
    }
    if paths.is_empty() {
        let text = if strip { METRICS.to_owned() } else { prefix.join(METRICS) };
        paths.extend(Pattern::parse(&text));
    }
    paths
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
        problems.error(node, format!("{place}.name: expected {NAME}"));
    }
    text.to_owned()
}

/// What [`is_name`] takes.
const NAME: &str = "letters, digits, dots, dashes and underscores, at most 255";

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

/// Prometheus's rules for the names; `__` is its own.
fn labels(node: &Node, place: &str, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for entry in node.entries(place, problems) {
        if !is_label(&entry.key) || entry.key.starts_with("__") {
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

fn is_label(name: &str) -> bool {
    let head = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let all = |byte: u8| head(byte) || byte.is_ascii_digit();
    name.bytes().next().is_some_and(head) && name.bytes().all(all)
}
