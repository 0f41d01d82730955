//! One route: `proxy.routes`, and the default route.

use std::sync::Arc;

use super::entry::{EntryKind, NAME, RouteEntry, is_name};
use super::{Labels, METRICS, Pattern, Prefix, References, RoutePolicy};
use crate::config::addresses::Upstream;
use crate::config::keys::route::{
    PATHS, ROUTE_NAME_KEY, ROUTE_PATH, ROUTES, STRIP_PATH, UPSTREAMS,
};
use crate::config::keys::{Section, Value};
use crate::config::yaml::NodeContent;

/// The name of the default route in messages.
const DEFAULT_ROUTE: &str = "default";

/// One exporter, or replicas of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// The unique name for logs, answers and service discovery.
    pub name: String,
    /// True if it is the route to `--upstream` that a file without `routes` has.
    pub is_default: bool,
    /// The beginning of the paths that clients ask for.
    pub prefix: Prefix,
    /// True if the exporter is asked without the prefix.
    pub strip: bool,
    /// The replicas, the first of which that can be reached is asked. Of the default route none:
    /// `--upstream`.
    pub upstreams: Vec<Upstream>,
    /// The paths as the exporter sees them; `None`: any path, on the default route alone.
    pub paths: Option<Vec<Pattern>>,
    /// The values of the query parameter `target`; `None`: anything.
    pub allowed_targets: Option<Vec<String>>,
    /// The labels for service discovery.
    pub labels: Labels,
    /// The keys that the file has, be they empty.
    pub declared: Vec<&'static str>,
    /// The policy, which all routes of an entry of `proxy.file_sd_configs` share.
    pub policy: Arc<RoutePolicy>,
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
            labels: Labels::new(),
            declared: Vec::new(),
            policy: Arc::new(RoutePolicy::default()),
        }
    }
}

impl RouteConfig {
    /// Returns the path by which clients ask for a path of the exporter.
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

    /// Returns what service discovery has for `__metrics_path__`; `None` where there is nothing to
    /// scrape.
    pub fn metrics_path(&self) -> Option<String> {
        let methods = self.policy.methods.as_ref();
        let is_scraped = methods.is_none_or(|methods| methods.iter().any(|name| name == "GET"));
        let exact = || self.patterns().iter().find_map(Pattern::exact);
        let usual = if self.strip { METRICS.to_owned() } else { self.prefix.join(METRICS) };
        let has_usual = || self.forwards(&usual);
        let path = exact().or_else(|| has_usual().then_some(usual.as_str()));
        path.filter(|_| is_scraped).map(|path| self.outside(path))
    }

    /// Reads the route to `--upstream` from the keys directly under `proxy`; `declared`: those that
    /// the file has.
    pub fn read_default(entry: &RouteEntry<'_>, references: &References<'_>) -> Self {
        let has_paths = entry.section.has(&PATHS);
        Self {
            paths: has_paths.then(|| paths(entry, &Prefix::default(), false)),
            allowed_targets: entry.allowed_targets(),
            labels: entry.labels(),
            declared: entry.section.declared(),
            policy: Arc::new(RoutePolicy::read(entry, &[], references)),
            ..Self::default()
        }
    }

    /// Reads an item of `proxy.routes`; `None` for what is no route at all, which is an error.
    pub fn read(item: Value<'_>, proxy: &Section<'_>, references: &References<'_>) -> Option<Self> {
        if !matches!(item.node().content, NodeContent::Mapping(_)) {
            item.error("expected a mapping with upstreams and a path or hosts");
            return None;
        }
        let item = item.named(&name_for_messages(&item));
        let section = Section::open(item, &ROUTES).inheriting(proxy);
        let entry = RouteEntry { section: &section, kind: EntryKind::Listed };
        let upstreams = upstreams(entry.section);
        let policy = RoutePolicy::read(&entry, &upstreams, references);
        let prefix = entry.prefix(&ROUTE_PATH);
        let strip = entry.section.get(&STRIP_PATH);
        let strip = strip.unwrap_or(STRIP_PATH.value_type().default());
        Some(Self {
            name: name(entry.section, &prefix, &policy.hosts),
            is_default: false,
            strip,
            upstreams,
            paths: Some(paths(&entry, &prefix, strip)),
            prefix,
            allowed_targets: entry.allowed_targets(),
            labels: entry.labels(),
            declared: entry.section.declared(),
            policy: Arc::new(policy),
        })
    }
}

fn upstreams(section: &Section<'_>) -> Vec<Upstream> {
    if !section.has(&UPSTREAMS) {
        section.error(&UPSTREAMS, "missing; name the exporter's address");
        return Vec::new();
    }
    let mut upstreams = Vec::new();
    for text in section.get(&UPSTREAMS).unwrap_or_default() {
        match text.as_str().parse() {
            Err(_) => {
                text.error("expected http://HOST:PORT, https://HOST:PORT, unix:/path or self");
            }
            Ok(upstream) => upstreams.push(upstream),
        }
    }
    if upstreams.len() > 1 && upstreams.contains(&Upstream::Own) {
        section.error(&UPSTREAMS, "self has no replicas; give it a route of its own");
    }
    if upstreams.is_empty() {
        section.error(&UPSTREAMS, "none; name the exporter's address");
    }
    upstreams
}

fn paths(entry: &RouteEntry<'_>, prefix: &Prefix, strip: bool) -> Vec<Pattern> {
    let mut paths = Vec::new();
    for text in entry.section.get(&PATHS).unwrap_or_default() {
        let path = text.as_str();
        match Pattern::parse(path) {
            Ok(pattern) if strip || prefix.covers(pattern.as_str()) => paths.push(pattern),
            Ok(_) => text.error(format!("{path:?} is not below the route's path")),
            Err(error) => text.error(format!("{path:?} {error}")),
        }
    }
    if paths.is_empty() {
        let text = if strip { METRICS.to_owned() } else { prefix.join(METRICS) };
        paths.extend(Pattern::parse(&text));
    }
    paths
}

/// Returns the name of a route for messages: with its own name when it has one.
fn name_for_messages(item: &Value<'_>) -> String {
    let NodeContent::Mapping(members) = &item.node().content else { return item.name().to_owned() };
    let name = members.iter().find(|member| member.key == "name");
    match name.map(|name| &name.value.content) {
        Some(NodeContent::Scalar { text, .. }) if is_name(text) => {
            format!("{}.{text}", item.name())
        }
        _ => item.name().to_owned(),
    }
}

/// Reads the name, or takes what the path or the first host suggests.
fn name(section: &Section<'_>, prefix: &Prefix, hosts: &[String]) -> String {
    if section.has(&ROUTE_NAME_KEY) {
        let Some(text) = section.get(&ROUTE_NAME_KEY) else { return String::new() };
        if !is_name(text.as_str()) {
            text.error(format!("expected {NAME}"));
        }
        return text.as_str().to_owned();
    }
    let from_path = prefix.as_str().trim_start_matches('/').replace('/', "-");
    let suggested = if from_path.is_empty() { hosts.first() } else { Some(&from_path) };
    let name = suggested.filter(|name| is_name(name)).cloned();
    name.unwrap_or_else(|| {
        section.value().error("give the route a name");
        String::new()
    })
}
