//! A node together with its name for messages and the reader that collects them.

use std::collections::HashSet;
use std::fmt::Display;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::config::files::{Secret, YamlFile, presentable};
use crate::config::yaml::{self, Findings, Node, NodeContent, NodeId};

use super::reader::Reader;

/// A value of the file, which knows its name for messages, such as `proxy.limits.idle_timeout`.
#[derive(Clone)]
pub struct Value<'a> {
    reader: &'a Reader<'a>,
    node: &'a Node,
    name: Rc<str>,
}

/// A value that is text, or counts as text.
#[derive(Clone)]
pub struct TextValue<'a> {
    value: Value<'a>,
    text: &'a str,
}

/// A key of a mapping whose keys are the user's own, and its value.
pub struct Entry<'a> {
    /// The key as written.
    pub key: &'a str,
    key_id: NodeId,
    /// The value, by the name of the mapping.
    pub value: Value<'a>,
}

impl<'a> Value<'a> {
    /// Names a node; the root of a file has the empty name.
    pub fn new(reader: &'a Reader<'a>, node: &'a Node, name: &str) -> Self {
        Self { reader, node, name: name.into() }
    }

    /// Returns the same value by another name.
    pub fn named(&self, name: &str) -> Self {
        Self::new(self.reader, self.node, name)
    }

    /// Returns another node by the name of this one.
    fn sibling(&self, node: &'a Node) -> Self {
        Self { reader: self.reader, node, name: Rc::clone(&self.name) }
    }

    /// Returns the name for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the reader.
    pub fn reader(&self) -> &'a Reader<'a> {
        self.reader
    }

    /// Returns the node itself.
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Returns the number of the node, by which its line is found.
    pub fn id(&self) -> NodeId {
        self.node.id
    }

    /// Adds an error about this value.
    pub fn error(&self, message: impl Display) {
        self.reader.error(self.node.id, self.prefixed(message));
    }

    /// Adds a warning about this value.
    pub fn warning(&self, message: impl Display) {
        self.reader.warning(self.node.id, self.prefixed(message));
    }

    /// Adds an error about another node, by the name of this value.
    pub fn error_at(&self, node: NodeId, message: impl Display) {
        self.reader.error(node, self.prefixed(message));
    }

    fn prefixed(&self, message: impl Display) -> String {
        let separator = if self.name.is_empty() { "" } else { ": " };
        format!("{}{separator}{message}", self.name)
    }

    /// Adds the error that the value is of another type, and returns `None`.
    pub fn mismatch<T>(&self, expected: &str) -> Option<T> {
        let whole = if self.name.is_empty() { "the file: " } else { "" };
        self.error(format!("{whole}expected {expected}, found {}", self.node.describe()));
        None
    }

    /// Reads a text; numbers and booleans count as their text, and null as the empty one.
    pub fn text(self) -> Option<TextValue<'a>> {
        let text = match &self.node.content {
            NodeContent::Scalar { text, .. } => text,
            NodeContent::Null => "",
            _ => return self.mismatch("a string"),
        };
        Some(TextValue { value: self, text })
    }

    /// Reads a boolean in YAML 1.1's spellings; one in quotes is a string.
    pub fn boolean(&self) -> Option<bool> {
        let value = match &self.node.content {
            NodeContent::Scalar { text, plain: true } => yaml::boolean(text),
            _ => None,
        };
        value.or_else(|| self.mismatch("true or false"))
    }

    /// Reads a whole number; one in quotes is a string.
    pub fn integer(&self) -> Option<i64> {
        let value = match &self.node.content {
            NodeContent::Scalar { text, plain: true } => yaml::integer(text),
            _ => None,
        };
        value.or_else(|| self.mismatch("a whole number"))
    }

    /// Reads a list of texts. A single text is a list of one, as for yaml.v2.
    pub fn texts(self) -> Vec<TextValue<'a>> {
        match &self.node.content {
            NodeContent::Sequence(items) => {
                items.iter().filter_map(|item| self.sibling(item).text()).collect()
            }
            NodeContent::Scalar { .. } => self.text().into_iter().collect(),
            _ => self.mismatch("a list").unwrap_or_default(),
        }
    }

    /// Returns the items of a list, each by the name of the list; `None` for anything else.
    pub fn items(&self) -> Option<impl Iterator<Item = Self> + use<'a>> {
        let NodeContent::Sequence(items) = &self.node.content else { return None };
        let list = self.clone();
        Some(items.iter().map(move |item| list.sibling(item)))
    }

    /// Reads the entries of a mapping, each key once; null has none.
    pub fn entries(&self) -> Vec<Entry<'a>> {
        let members = match &self.node.content {
            NodeContent::Mapping(members) => members,
            NodeContent::Null => return Vec::new(),
            _ => return self.mismatch("a mapping").unwrap_or_default(),
        };
        let mut keys = HashSet::with_capacity(members.len());
        let mut entries = Vec::with_capacity(members.len());
        for member in members {
            if keys.insert(member.key.as_str()) {
                let value = self.sibling(&member.value);
                entries.push(Entry { key: &member.key, key_id: member.key_id, value });
            } else {
                let key = presentable(&member.key);
                let message = format!("duplicate key {key}; remove one of the two");
                self.error_at(member.key_id, message);
            }
        }
        entries
    }
}

impl<'a> TextValue<'a> {
    /// Returns the text.
    pub fn as_str(&self) -> &'a str {
        self.text
    }

    /// Returns the path that the text is, relative to the directory of the web configuration.
    pub fn to_path(&self) -> PathBuf {
        self.reader.files().directory().join(self.text)
    }

    /// Reads the file at `path`, which this text names; `None` when it cannot be read, which is an
    /// error about the text.
    pub fn read_file(&self, path: &Path) -> Option<Secret> {
        let result = self.reader.files().read(path);
        result.map_err(|error| self.error(&error)).ok()
    }

    /// Reads and parses the YAML file at `path`, which this text names; `None` when that fails, which
    /// is an error about the text or a finding about the file.
    pub fn read_yaml(&self, path: &Path) -> Option<YamlFile> {
        let content = self.read_file(path)?;
        let file = YamlFile::parse(path, content.to_vec(), &mut self.reader.files());
        file.map_err(|findings| self.reader.append(findings)).ok()
    }

    /// Reads and parses the file of targets at `path`; `None` when that fails, which is a finding about
    /// that file.
    pub fn read_targets(&self, path: &Path) -> Option<YamlFile> {
        let mut files = self.reader.files();
        let content = files.read_targets(path);
        let content = content.map_err(|error| Findings::unreadable(path, error.to_string()));
        let file = content.and_then(|text| YamlFile::parse(path, text.to_vec(), &mut files));
        drop(files);
        file.map_err(|findings| self.reader.append(findings)).ok()
    }
}

impl<'a> Deref for TextValue<'a> {
    type Target = Value<'a>;

    fn deref(&self) -> &Value<'a> {
        &self.value
    }
}

impl Entry<'_> {
    /// Adds an error about the key.
    pub fn error_at_key(&self, message: impl Display) {
        self.value.error_at(self.key_id, message);
    }
}
