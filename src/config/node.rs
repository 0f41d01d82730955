//! The tree of a YAML document, and how values are taken out of it by go yaml.v2's rules.

use super::document::NodePath;
use super::findings::Problems;
use super::secret::presentable;

/// One value of the document.
#[derive(Debug)]
pub struct Node {
    pub kind: Kind,
    pub path: NodePath,
}

#[derive(Debug)]
pub enum Kind {
    Null,
    /// The text as written, without quotes. `plain`: known to have none.
    Scalar {
        text: Option<String>,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
}

#[derive(Debug)]
pub struct Entry {
    pub key: String,
    pub key_path: NodePath,
    pub value: Node,
}

/// The entries of a mapping whose keys have been checked.
pub struct Section<'n> {
    entries: Vec<&'n Entry>,
}

impl<'n> Section<'n> {
    /// The value of a key; null counts as absent.
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.value)
            .filter(|value| !matches!(value.kind, Kind::Null))
    }
}

impl Node {
    pub fn new(kind: Kind) -> Self {
        Self { kind, path: Vec::new() }
    }

    pub fn null() -> Self {
        Self::new(Kind::Null)
    }

    pub fn scalar(text: Option<String>) -> Self {
        Self::new(Kind::Scalar { text, plain: false })
    }

    pub fn is_empty_map(&self) -> bool {
        matches!(&self.kind, Kind::Mapping(entries) if entries.is_empty())
    }

    /// Whether it is a mapping in which this key has a value.
    pub fn has(&self, key: &str) -> bool {
        let Kind::Mapping(entries) = &self.kind else { return false };
        entries.iter().any(|entry| entry.key == key && !matches!(entry.value.kind, Kind::Null))
    }

    /// The mapping called `name`, with only `allowed` keys, each once.
    pub fn section<'n>(
        &'n self,
        name: &str,
        allowed: &[&str],
        problems: &mut Problems,
    ) -> Section<'n> {
        let entries = self.entries(name, problems);
        for entry in &entries {
            if !allowed.contains(&entry.key.as_str()) {
                let place = if name.is_empty() { "" } else { ": " };
                let message = format!(
                    "{name}{place}unknown key {}; known are {}",
                    presentable(&entry.key),
                    allowed.join(", ")
                );
                problems.error_at(&entry.key_path, message);
            }
        }
        Section { entries }
    }

    /// The entries of a mapping, each key once; null has none.
    pub fn entries<'n>(&'n self, name: &str, problems: &mut Problems) -> Vec<&'n Entry> {
        let Kind::Mapping(entries) = &self.kind else {
            if !matches!(self.kind, Kind::Null) {
                let name = if name.is_empty() { "the file" } else { name };
                problems
                    .error(self, format!("{name}: expected a mapping, found {}", self.describe()));
            }
            return Vec::new();
        };
        let mut unique: Vec<&Entry> = Vec::new();
        for entry in entries {
            if unique.iter().any(|earlier| earlier.key == entry.key) {
                let place = if name.is_empty() { "" } else { ": " };
                problems.error_at(
                    &entry.key_path,
                    format!(
                        "{name}{place}duplicate key {}; remove one of the two",
                        presentable(&entry.key)
                    ),
                );
            } else {
                unique.push(entry);
            }
        }
        unique
    }

    /// A string; numbers and booleans count as their text.
    pub fn string(&self, name: &str, problems: &mut Problems) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text: Some(text), .. } => Some(text),
            Kind::Null => Some(""),
            _ => {
                problems
                    .error(self, format!("{name}: expected a string, found {}", self.describe()));
                None
            }
        }
    }

    /// A boolean in YAML 1.1's spellings; a quoted one is a string.
    pub fn boolean(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = match &self.kind {
            Kind::Scalar { text: Some(text), plain } => {
                // A word of YAML 1.1 alone may be plain without being known to.
                let value = boolean(text);
                value.filter(|_| *plain || problems.document().is_plain(text, &self.path))
            }
            _ => None,
        };
        if value.is_none() {
            problems
                .error(self, format!("{name}: expected true or false, found {}", self.describe()));
        }
        value
    }

    /// A whole number.
    pub fn integer(&self, name: &str, problems: &mut Problems) -> Option<i64> {
        let value = match &self.kind {
            Kind::Scalar { text: Some(text), plain: true } => integer(text),
            _ => None,
        };
        if value.is_none() {
            problems
                .error(self, format!("{name}: expected a whole number, found {}", self.describe()));
        }
        value
    }

    /// A list of strings.
    pub fn strings(&self, name: &str, problems: &mut Problems) -> Vec<(&Node, &str)> {
        match &self.kind {
            Kind::Sequence(items) => items
                .iter()
                .filter_map(|item| item.string(name, problems).map(|text| (item, text)))
                .collect(),
            // yaml.v2 takes a single value for a list of one.
            Kind::Scalar { text: Some(text), .. } => vec![(self, text)],
            _ => {
                problems.error(self, format!("{name}: expected a list, found {}", self.describe()));
                Vec::new()
            }
        }
    }

    /// What a message may say of a value: its kind, never its text, which may be a secret in the
    /// wrong place.
    fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Scalar { plain: true, .. } => "another plain value",
            Kind::Scalar { .. } => "a string",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    // yaml.v2 takes each word in lower, upper and title case.
    let lower = text.to_ascii_lowercase();
    let title = || text.starts_with(|c: char| c.is_ascii_uppercase()) && text[1..] == lower[1..];
    let usual_case = text == lower || text == text.to_ascii_uppercase() || title();
    match lower.as_str() {
        "true" | "yes" | "on" | "y" if usual_case => Some(true),
        "false" | "no" | "off" | "n" if usual_case => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok().map(|value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_of_yaml_1_1() {
        for (text, value) in [
            ("true", Some(true)),
            ("Yes", Some(true)),
            ("ON", Some(true)),
            ("y", Some(true)),
            ("False", Some(false)),
            ("off", Some(false)),
            ("NO", Some(false)),
            ("N", Some(false)),
            ("tRue", None),
            ("oN", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(boolean(text), value, "{text}");
        }
    }

    #[test]
    fn integers_of_yaml_1_1() {
        for (text, value) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("-3", Some(-3)),
            ("1_000", Some(1000)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0b11", Some(3)),
            ("", None),
            ("1.5", None),
            ("x", None),
            ("--1", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }
}
