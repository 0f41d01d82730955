//! An entry of the file that routes are read from, with what `proxy` has for it.

use super::Labels;
use super::path::Prefix;
use crate::config::keys::route::{ALLOWED_TARGETS, LABELS};
use crate::config::keys::{Key, Section, Text};

/// The kind of an entry, which decides what holds without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// The section `proxy` itself, for the default route: what the exporter-toolkit does.
    Default,
    /// An item of `proxy.routes`.
    Listed,
    /// An item of `proxy.file_sd_configs`, whose upstreams come and go.
    FileSd,
}

/// An entry: a section that inherits from `proxy`.
pub struct RouteEntry<'a> {
    /// The section with the keys of the route.
    pub section: &'a Section<'a>,
    /// The kind of the entry.
    pub kind: EntryKind,
}

impl RouteEntry<'_> {
    /// Reads `allowed_targets`.
    pub fn allowed_targets(&self) -> Option<Vec<String>> {
        self.section.has(&ALLOWED_TARGETS).then(|| {
            let targets = self.section.get(&ALLOWED_TARGETS).unwrap_or_default();
            targets.iter().map(|text| text.as_str().to_owned()).collect()
        })
    }

    /// Reads the labels of the entry, and those under `proxy` that it does not give another value.
    pub fn labels(&self) -> Labels {
        let mut labels = Labels::new();
        for entry in self.section.get_each(&LABELS).into_iter().flatten() {
            if !is_label(entry.key) || entry.key.starts_with("__") {
                entry.error_at_key("a label name is letters, digits and _, without __ first");
            }
            let key = entry.key.to_owned();
            labels.extend(entry.value.text().map(|text| (key, text.as_str().to_owned())));
        }
        labels
    }

    /// Reads a prefix of paths; none is that of any path.
    pub fn prefix(&self, key: &Key<Text>) -> Prefix {
        let prefix = self.section.get(key).and_then(|text| {
            let prefix = Prefix::parse(text.as_str());
            prefix.map_err(|error| text.error(format!("{:?} {error}", text.as_str()))).ok()
        });
        prefix.unwrap_or_default()
    }
}

/// A description of what [`is_name`] takes.
pub const NAME: &str = "letters, digits, dots, dashes and underscores, at most 255";

/// Returns whether it can be the name of a route.
pub fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(plain)
}

/// Returns whether it can be the name of a label, by Prometheus's rules.
pub fn is_label(name: &str) -> bool {
    let head = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    let all = |byte: u8| head(byte) || byte.is_ascii_digit();
    name.bytes().next().is_some_and(head) && name.bytes().all(all)
}
