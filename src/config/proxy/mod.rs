//! `proxy`: the section of our own. A file without it behaves as the exporter-toolkit documents.

mod limits;

pub use limits::Limits;

use super::findings::Problems;
use super::node::Node;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// Request targets that are answered without credentials, compared as they are.
    pub public_paths: Vec<String>,
    pub limits: Limits,
}

impl Proxy {
    pub(super) fn validate(node: Option<&Node>, problems: &mut Problems) -> Self {
        let Some(node) = node else { return Self::default() };
        let section = node.section("proxy", &["public_paths", "limits"], problems);
        Self {
            public_paths: section
                .get("public_paths")
                .map(|node| public_paths(node, problems))
                .unwrap_or_default(),
            limits: section
                .get("limits")
                .map(|node| Limits::validate(node, problems))
                .unwrap_or_default(),
        }
    }
}

fn public_paths(node: &Node, problems: &mut Problems) -> Vec<String> {
    let place = "proxy.public_paths";
    let mut paths = Vec::new();
    for (item, path) in node.strings(place, problems) {
        match unusual(path) {
            Some(what) => problems.error(item, format!("{place}: {path:?} {what}")),
            None => paths.push(path.to_owned()),
        }
    }
    paths
}

/// A path that different programs could read differently must not be public.
fn unusual(path: &str) -> Option<&'static str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,=".contains(&byte);
    if !path.starts_with('/') {
        return Some("does not start with /; write for example /-/healthy");
    }
    if !path.bytes().all(plain) {
        return Some(
            "holds a character that is not plain in a path; queries, % and ; cannot be public",
        );
    }
    if path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        return Some("holds an empty or dot segment; write the path the exporter sees");
    }
    None
}
