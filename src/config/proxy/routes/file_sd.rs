//! `proxy.file_sd_configs`: a route for each target of Prometheus's `file_sd` files.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{
    Collected, Known, METRICS, NAME, Pattern, Place, Prefix, RouteConfig, RoutePolicy, is_label,
    is_name, policy, prefix,
};
use crate::config::Upstream;
use crate::config::document::NodePath;
use crate::config::file::File;
use crate::config::file_pattern::FilePattern;
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node, Section};
use crate::config::sources::ConfigFiles;

const PLACE: &str = "proxy.file_sd_configs";

/// Beside those of the policy.
const KEYS: [&str; 4] = ["files", "name", "path", "labels"];

/// Labels that are instructions: Prometheus's own, and one of ours.
const SCHEME: &str = "__scheme__";
const METRICS_PATH: &str = "__metrics_path__";
const ADDRESS: &str = "__address__";
pub const ROUTE: &str = "__route__";
/// What was known when the file was written.
const META: &str = "__meta_";
const INSTANCE: &str = "instance";

/// One of a file, as far as it goes.
struct Target {
    /// Of the route, without what its entry puts before it.
    name: String,
    upstream: Upstream,
    path: Pattern,
    labels: BTreeMap<String, String>,
    /// Of the instructions.
    declared: Vec<&'static str>,
    /// In its file.
    at: NodePath,
}

/// What is to become of the targets of an entry.
struct Template {
    name: Option<String>,
    prefix: Prefix,
    labels: BTreeMap<String, String>,
    allowed_targets: Option<Vec<String>>,
    declared: Vec<&'static str>,
    policy: Arc<RoutePolicy>,
}

/// The keys of an item of `proxy.file_sd_configs`.
fn keys() -> Vec<&'static str> {
    [&KEYS[..], &["allowed_targets"], &policy::KEYS, &policy::SHARED_KEYS].concat()
}

impl Collected {
    /// What `proxy.file_sd_configs` has.
    pub fn add_file_sd(
        &mut self,
        node: &Node,
        defaults: &Section<'_>,
        known: &Known<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) {
        let Kind::Sequence(items) = &node.kind else {
            let message = format!("{PLACE}: expected a list of mappings with files");
            return problems.error(node, message);
        };
        for item in items {
            self.add_entry(item, defaults, known, sources, problems);
        }
    }

    fn add_entry(
        &mut self,
        node: &Node,
        defaults: &Section<'_>,
        known: &Known<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) {
        let section = node.section(PLACE, &keys(), problems);
        let mut found: Vec<(File, Vec<Target>)> = Vec::new();
        for mut file in files(node, &section, sources, problems) {
            let targets = targets(&file.root, &mut file.problems);
            found.push((file, targets));
        }
        let targets = found.iter().flat_map(|(_, targets)| targets);
        let upstreams: Vec<Upstream> = targets.map(|target| target.upstream.clone()).collect();
        let template = {
            let (section, kind) = (&section, policy::EntryKind::FileSd);
            let entry =
                policy::Entry { node, section, defaults: Some(defaults), place: PLACE, kind };
            Template::read(&entry, &upstreams, known, sources, problems)
        };
        // Prometheus takes a target that is there twice for one.
        let mut seen = HashSet::new();
        for (file, targets) in found {
            for target in targets {
                let route = template.route(&target);
                let place = Place::Elsewhere(self.files.len(), target.at);
                let labels: Vec<_> = target.labels.into_iter().collect();
                let is_new = seen.insert((
                    route.name.clone(),
                    target.upstream.to_string(),
                    target.path.as_str().to_owned(),
                    labels,
                ));
                if is_new {
                    self.routes.push(route);
                    self.places.push(place);
                }
            }
            self.files.push(file);
        }
    }
}

fn files(
    node: &Node,
    section: &Section<'_>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Vec<File> {
    let place = format!("{PLACE}.files");
    let Some(list) = section.get("files") else {
        problems.error(node, format!("{place}: missing; name the files, such as targets/*.yml"));
        return Vec::new();
    };
    let mut files = Vec::new();
    for (item, text) in list.strings(&place, problems) {
        let found = FilePattern::parse(text, sources.directory());
        let found = match found.and_then(|pattern| sources.find(pattern)) {
            Ok(found) => found,
            Err(error) => {
                problems.error(item, format!("{place}: {error}"));
                continue;
            }
        };
        if found.is_empty() {
            problems.warning(item, format!("{place}: {text:?} matches no file"));
        }
        for path in found {
            let content = sources.read(&path);
            match content.map(|content| File::parse(&path, &content, sources)) {
                Ok(Ok(file)) => files.push(file),
                Ok(Err(findings)) => problems.of_file(findings),
                Err(error) => problems.error(item, format!("{place}: {error}")),
            }
        }
    }
    files
}

impl Template {
    fn read(
        entry: &policy::Entry<'_>,
        upstreams: &[Upstream],
        known: &Known<'_>,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) -> Self {
        let section = entry.section;
        let policy = RoutePolicy::read(entry, upstreams, known, sources, problems);
        let name = section.get("name").and_then(|node| {
            let text = node.string(&format!("{PLACE}.name"), problems)?;
            if !is_name(text) {
                problems.error(node, format!("{PLACE}.name: expected {NAME}"));
            }
            Some(text.to_owned())
        });
        Self {
            name,
            prefix: prefix(section.get("path"), &format!("{PLACE}.path"), problems),
            labels: super::labels_of(entry, problems),
            allowed_targets: super::allowed_targets(entry, problems),
            declared: entry.declared(&keys()),
            policy: Arc::new(policy),
        }
    }

    fn route(&self, target: &Target) -> RouteConfig {
        let name = match &self.name {
            Some(before) => format!("{before}-{}", target.name),
            None => target.name.clone(),
        };
        let mut labels = self.labels.clone();
        labels.extend(target.labels.clone());
        RouteConfig {
            name,
            prefix: self.prefix.below(&target.name),
            strip: true,
            upstreams: vec![target.upstream.clone()],
            is_default: false,
            paths: Some(vec![target.path.clone()]),
            allowed_targets: self.allowed_targets.clone(),
            labels,
            declared: self.declared.iter().chain(&target.declared).copied().collect(),
            policy: Arc::clone(&self.policy),
        }
    }
}

/// The groups of a file: `targets`, and `labels` that they have in common.
fn targets(root: &Node, problems: &mut Problems) -> Vec<Target> {
    let groups = match &root.kind {
        Kind::Sequence(groups) => groups,
        Kind::Null => return Vec::new(),
        _ => {
            problems.error(root, "expected a list of groups with targets and labels");
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for group in groups {
        let section = group.section("group", &["targets", "labels"], problems);
        let labels = section.get("labels").map(|node| group_labels(node, problems));
        let labels = labels.unwrap_or_default();
        let list = section.get("targets").map(|node| node.strings("targets", problems));
        for (node, text) in list.unwrap_or_default() {
            match target(text, &labels) {
                Ok(target) => found.push(Target { at: node.path.clone(), ..target }),
                Err(what) => problems.error(node, format!("targets: {what}")),
            }
        }
    }
    found
}

fn group_labels(node: &Node, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for entry in node.entries("labels", problems) {
        if !is_label(&entry.key) {
            let message = "labels: a label name is letters, digits and _";
            problems.error_at(&entry.key_path, message);
        }
        if let Some(value) = entry.value.string("labels", problems) {
            labels.insert(entry.key.clone(), value.to_owned());
        }
    }
    labels
}

fn target(address: &str, labels: &BTreeMap<String, String>) -> Result<Target, String> {
    let label = |name: &str, default| labels.get(name).map_or(default, String::as_str);
    let scheme = label(SCHEME, "http");
    if !["http", "https"].contains(&scheme) {
        return Err(format!("{SCHEME}: expected http or https, found {scheme:?}"));
    }
    let upstream = format!("{scheme}://{address}").parse().map_err(|_| {
        format!(
            "expected HOST:PORT, found {address:?}; what blackbox_exporter and the like are to \
                 probe belongs into a route's allowed_targets"
        )
    })?;
    let path = label(METRICS_PATH, METRICS);
    let path = Pattern::parse(path).map_err(|what| format!("{METRICS_PATH}: {path:?} {what}"))?;
    if path.exact().is_none() {
        return Err(format!("{METRICS_PATH}: expected one path"));
    }
    let name = match labels.get(ROUTE) {
        Some(name) if is_segment(name) => name.clone(),
        Some(_) => return Err(format!("{ROUTE}: expected {NAME}")),
        None => name_of(address),
    };
    if !is_segment(&name) {
        return Err(format!("expected HOST:PORT, found {address:?}"));
    }
    let is_ours = |name: &str| {
        [SCHEME, METRICS_PATH, ADDRESS, ROUTE].contains(&name) || name.starts_with(META)
    };
    let mut kept: BTreeMap<String, String> = labels.clone();
    kept.retain(|name, _| !is_ours(name));
    // As if Prometheus had read the file itself.
    kept.entry(INSTANCE.to_owned()).or_insert_with(|| address.to_owned());
    let declared = [SCHEME, METRICS_PATH].into_iter().filter(|name| labels.contains_key(*name));
    let declared = declared.collect();
    Ok(Target { name, upstream, path, labels: kept, declared, at: NodePath::new() })
}

/// Whether it can be one of a path.
fn is_segment(name: &str) -> bool {
    is_name(name) && name != "." && name != ".."
}

/// An address as part of a path.
fn name_of(address: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    address.trim_start_matches('[').replace("]:", ":").chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_a_segment() {
        for (address, name) in [
            ("node1.example:9100", "node1.example-9100"),
            ("10.0.0.5:9100", "10.0.0.5-9100"),
            ("[2001:db8::1]:9100", "2001-db8--1-9100"),
        ] {
            assert_eq!(name_of(address), name);
            assert!(is_name(name));
        }
    }

    #[test]
    fn targets_are_what_prometheus_takes() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let found = target("a:1", &labels(&[(SCHEME, "https"), ("__meta_x", "y"), ("z", "1")]));
        let found = found.expect("a target");
        assert_eq!(found.upstream.to_string(), "https://a:1");
        assert_eq!(found.labels, labels(&[("instance", "a:1"), ("z", "1")]));
        assert_eq!(
            target("a", &labels(&[])).expect("a target").upstream.to_string(),
            "http://a:80"
        );
        for (address, pairs) in [
            ("http://a:1", &[][..]),
            ("a:1/metrics", &[]),
            ("", &[]),
            ("a:1", &[(SCHEME, "unix")]),
            ("a:1", &[(METRICS_PATH, "/a/*")]),
            ("a:1", &[(METRICS_PATH, "/a%2f")]),
            ("a:1", &[(ROUTE, "a b")]),
            ("a:1", &[(ROUTE, "..")]),
            ("a:0", &[]),
        ] {
            assert!(target(address, &labels(pairs)).is_err(), "{address}");
        }
    }
}
