//! The targets of Prometheus's `file_sd` files.

use super::entry::{NAME, is_label, is_name};
use super::{InvalidPath, Labels, METRICS, Pattern};
use crate::config::addresses::Upstream;
use crate::config::keys::route::{GROUP_LABELS, TARGET_GROUP, TARGETS};
use crate::config::keys::{Section, Value};
use crate::config::yaml::NodeId;

/// The label that chooses http or https.
const SCHEME: &str = "__scheme__";
/// The label with the path of the metrics.
const METRICS_PATH: &str = "__metrics_path__";
/// The label that Prometheus sets to the address.
const ADDRESS: &str = "__address__";
/// The label of our own that names the route.
pub const ROUTE: &str = "__route__";
/// The beginning of labels about where a target was found.
const META: &str = "__meta_";
const INSTANCE: &str = "instance";

/// A target of a file.
pub struct Target {
    /// The name of the route, without what its entry puts before it.
    pub name: String,
    /// The exporter.
    pub upstream: Upstream,
    /// The one path that is let through.
    pub path: Pattern,
    /// The labels for service discovery.
    pub labels: Labels,
    /// The labels that are instructions and that the file has.
    pub declared: Vec<&'static str>,
    /// The node of the target in its file.
    pub node: NodeId,
}

/// A target that no route can be made of.
#[derive(Debug, thiserror::Error)]
enum InvalidTarget {
    #[error("{SCHEME}: expected http or https, found {0:?}")]
    Scheme(String),
    #[error(
        "expected HOST:PORT, found {0:?}; what blackbox_exporter and the like are to probe belongs \
         into a route's allowed_targets"
    )]
    Address(String),
    #[error("{METRICS_PATH}: {0:?} {1}")]
    Path(String, InvalidPath),
    #[error("{METRICS_PATH}: expected one path")]
    ManyPaths,
    #[error("{ROUTE}: expected {NAME}")]
    RouteName,
    #[error("expected HOST:PORT, found {0:?}")]
    Name(String),
}

/// Reads the groups of a file: `targets`, and `labels` that they have in common.
pub fn read_all(root: &Value<'_>) -> Vec<Target> {
    let Some(groups) = root.items() else {
        if !root.node().is_null() {
            root.error("expected a list of groups with targets and labels");
        }
        return Vec::new();
    };
    let mut found = Vec::new();
    for group in groups {
        let section = Section::open(group.named(TARGET_GROUP.name), &TARGET_GROUP);
        let labels = group_labels(&section);
        for text in section.get_as(&TARGETS, "targets").unwrap_or_default() {
            match target(text.as_str(), &labels, text.id()) {
                Ok(target) => found.push(target),
                Err(error) => text.error(error),
            }
        }
    }
    found
}

fn group_labels(section: &Section<'_>) -> Labels {
    let mut labels = Labels::new();
    for entry in section.get_as(&GROUP_LABELS, "labels").unwrap_or_default() {
        if !is_label(entry.key) {
            entry.error_at_key("a label name is letters, digits and _");
        }
        let key = entry.key.to_owned();
        labels.extend(entry.value.text().map(|text| (key, text.as_str().to_owned())));
    }
    labels
}

fn target(address: &str, labels: &Labels, node: NodeId) -> Result<Target, InvalidTarget> {
    let label = |name: &str, default| labels.get(name).map_or(default, String::as_str);
    let scheme = label(SCHEME, "http");
    if !["http", "https"].contains(&scheme) {
        return Err(InvalidTarget::Scheme(scheme.to_owned()));
    }
    let upstream = format!("{scheme}://{address}").parse();
    let upstream = upstream.map_err(|_| InvalidTarget::Address(address.to_owned()))?;
    let path = label(METRICS_PATH, METRICS);
    let path = Pattern::parse(path).map_err(|error| InvalidTarget::Path(path.to_owned(), error))?;
    if path.exact().is_none() {
        return Err(InvalidTarget::ManyPaths);
    }
    let name = match labels.get(ROUTE) {
        Some(name) if is_segment(name) => name.clone(),
        Some(_) => return Err(InvalidTarget::RouteName),
        None => name_of(address),
    };
    if !is_segment(&name) {
        return Err(InvalidTarget::Name(address.to_owned()));
    }
    let declared = [SCHEME, METRICS_PATH].into_iter().filter(|name| labels.contains_key(*name));
    let declared = declared.collect();
    Ok(Target { name, upstream, path, labels: own_labels(address, labels), declared, node })
}

/// Returns the labels that are no instructions, as if Prometheus had read the file itself.
fn own_labels(address: &str, labels: &Labels) -> Labels {
    let is_instruction = |name: &str| {
        [SCHEME, METRICS_PATH, ADDRESS, ROUTE].contains(&name) || name.starts_with(META)
    };
    let mut own = labels.clone();
    own.retain(|name, _| !is_instruction(name));
    own.entry(INSTANCE.to_owned()).or_insert_with(|| address.to_owned());
    own
}

/// Returns whether it can be a segment of a path.
fn is_segment(name: &str) -> bool {
    is_name(name) && name != "." && name != ".."
}

/// Returns an address as a segment of a path.
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
        let labels = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
        };
        let read =
            |address: &str, pairs: &[(&str, &str)]| target(address, &labels(pairs), NodeId::ROOT);
        let found = read("a:1", &[(SCHEME, "https"), ("__meta_x", "y"), ("z", "1")]);
        let found = found.expect("a target");
        assert_eq!(found.upstream.to_string(), "https://a:1");
        assert_eq!(found.labels, labels(&[("instance", "a:1"), ("z", "1")]));
        assert_eq!(read("a", &[]).expect("a target").upstream.to_string(), "http://a:80");
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
            assert!(read(address, pairs).is_err(), "{address}");
        }
    }
}
