//! YAML text to a tree of nodes, and back from a node to its line.
//!
//! serde_yaml is the only parser. It reports places only with errors, so a node's place is found
//! by walking to it once more and failing there on purpose. That happens only for messages, and
//! for scalars whose spelling matters.

use std::cell::OnceCell;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};

use super::node::{Entry, Kind, Node};

/// How to get from one node to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The key of the n-th entry of a mapping.
    Key(usize),
    /// The value of the n-th entry of a mapping.
    Value(usize),
    /// The n-th item of a sequence.
    Item(usize),
}

/// The way from the root to a node.
pub type NodePath = Vec<Step>;

/// The text a tree was made from.
pub struct Document {
    text: String,
    /// Whether there may be words that look like booleans and are strings.
    has_words_as_strings: OnceCell<bool>,
}

/// Not YAML, or nothing a configuration can be.
pub struct SyntaxError {
    pub line: Option<usize>,
    pub message: String,
}

impl Document {
    /// Parse the first document of `text`, as go yaml.v2 does.
    pub fn parse(text: String) -> Result<(Self, Node), SyntaxError> {
        let document = Self { text, has_words_as_strings: OnceCell::new() };
        let mut root = document
            .deserializer()
            .map(|yaml| TreeSeed.deserialize(yaml))
            .transpose()
            .map_err(|error| SyntaxError {
                // What is missing at the end is missed after the last line.
                line: error.location().map(|at| at.line().min(lines(&document.text))),
                message: without_location(&error),
            })?
            .unwrap_or_else(Node::null);
        document.spell(&mut root);
        finish(&mut root, Vec::new());
        Ok((document, root))
    }

    fn deserializer(&self) -> Option<serde_yaml::Deserializer<'_>> {
        serde_yaml::Deserializer::from_str(&self.text).next()
    }

    /// Give scalars that serde_yaml converted their own spelling, all in one more parse: it would
    /// cost one for each otherwise.
    fn spell(&self, root: &mut Node) {
        if has_converted(root)
            && let Some(yaml) = self.deserializer()
        {
            // It has been parsed before.
            let _ = Spell(root).deserialize(yaml);
        }
    }

    /// Whether the last line has an end, as a file that is whole has it.
    pub fn ends_in_newline(&self) -> bool {
        self.text.ends_with('\n')
    }

    /// The line of a node, from 1.
    pub fn line(&self, path: &[Step]) -> Option<usize> {
        // What is missing at the end is missed after the last line.
        self.locate(path).map(|location| location.line().min(lines(&self.text)))
    }

    fn locate(&self, path: &[Step]) -> Option<serde_yaml::Location> {
        let walk = Walk { path };
        walk.deserialize(self.deserializer()?).err()?.location()
    }

    /// Whether a scalar that serde_yaml takes for a string has no quotes: only a word that is a
    /// boolean in YAML 1.1 alone, and that only its place tells from a quoted one.
    pub fn is_plain(&self, text: &str, path: &[Step]) -> bool {
        if !is_yaml11_boolean(text) {
            return false;
        }
        // Finding each place is a parse.
        if !*self.has_words_as_strings.get_or_init(|| has_words_as_strings(&self.text)) {
            return true;
        }
        let Some(location) = self.locate(path) else { return false };
        let line = self.text.lines().nth(location.line().saturating_sub(1)).unwrap_or_default();
        let first = line.chars().nth(location.column().saturating_sub(1));
        !matches!(first, Some('"' | '\'' | '|' | '>' | '!'))
    }
}

/// Give every node its path.
fn finish(node: &mut Node, path: NodePath) {
    let child = |step| path.iter().copied().chain([step]).collect::<NodePath>();
    match &mut node.kind {
        Kind::Null | Kind::Scalar { .. } => {}
        Kind::Sequence(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                finish(item, child(Step::Item(index)));
            }
        }
        Kind::Mapping(entries) => {
            for (index, entry) in entries.iter_mut().enumerate() {
                entry.key_path = child(Step::Key(index));
                finish(&mut entry.value, child(Step::Value(index)));
            }
            merge(entries);
        }
    }
    node.path = path;
}

/// How many there are, by all that ends a line in YAML 1.1 (section 4.2).
fn lines(text: &str) -> usize {
    text.replace("\r\n", "\n").split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count()
}

/// serde_yaml's message without the place, which the finding says in its own way.
fn without_location(error: &serde_yaml::Error) -> String {
    let text = error.to_string();
    match text.find(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// In quotes, or perhaps in a block or behind a tag.
fn has_words_as_strings(text: &str) -> bool {
    let is_quoted_word = |quote| text.split(quote).any(is_yaml11_boolean);
    ["|-", ">-", "|+", ">+", "!"].iter().any(|mark| text.contains(mark))
        || is_quoted_word('"')
        || is_quoted_word('\'')
}

/// The words that YAML 1.1 takes for booleans and YAML 1.2 does not.
fn is_yaml11_boolean(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off")
}

/// `<<` takes over the entries of another mapping that are not given here (yaml.org/type/merge).
fn merge(entries: &mut Vec<Entry>) {
    let Some(index) = entries.iter().position(|entry| entry.key == "<<") else { return };
    let sources = match entries.remove(index).value.kind {
        Kind::Mapping(merged) => vec![merged],
        Kind::Sequence(items) => items
            .into_iter()
            .filter_map(|item| match item.kind {
                Kind::Mapping(merged) => Some(merged),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    for entry in sources.into_iter().flatten() {
        if !entries.iter().any(|own| own.key == entry.key) {
            entries.push(entry);
        }
    }
}

/// Builds the tree.
#[derive(Clone, Copy)]
struct TreeSeed;

impl<'de> DeserializeSeed<'de> for TreeSeed {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping, a sequence or a scalar")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::null())
    }

    /// No document at all: an empty file, or comments alone.
    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::null())
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::scalar(Some(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
        Ok(Node::scalar(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::scalar(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::scalar(None))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Node, E> {
        Ok(Node::scalar(None))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Node, E> {
        Ok(Node::scalar(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::scalar(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            nodes.push(item);
        }
        Ok(Node::new(Kind::Sequence(nodes)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(self)?;
            entries.push(Entry { key, key_path: Vec::new(), value });
        }
        Ok(Node::new(Kind::Mapping(entries)))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(A::Error::custom("tags are not allowed here"))
    }
}

/// Whether serde_yaml took a scalar for something else than a string.
fn has_converted(node: &Node) -> bool {
    match &node.kind {
        Kind::Null => false,
        Kind::Scalar { text, .. } => text.is_none(),
        Kind::Sequence(items) => items.iter().any(has_converted),
        Kind::Mapping(entries) => entries.iter().any(|entry| has_converted(&entry.value)),
    }
}

/// Walks a tree along with the text it was made from, and asks for each converted scalar as text.
struct Spell<'n>(&'n mut Node);

impl<'de> DeserializeSeed<'de> for Spell<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match &self.0.kind {
            _ if !has_converted(self.0) => {
                deserializer.deserialize_ignored_any(IgnoredAny).map(drop)
            }
            Kind::Scalar { .. } => deserializer.deserialize_str(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Spell<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there before")
    }

    fn visit_str<E>(self, spelling: &str) -> Result<(), E> {
        *self.0 = Node::new(Kind::Scalar { text: Some(spelling.to_owned()), plain: true });
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Kind::Sequence(nodes) = &mut self.0.kind else { return Ok(()) };
        for node in nodes {
            items.next_element_seed(Spell(node))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Kind::Mapping(entries) = &mut self.0.kind else { return Ok(()) };
        for entry in entries {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(Spell(&mut entry.value))?;
        }
        Ok(())
    }
}

/// Walks to a node and fails there.
#[derive(Clone, Copy)]
struct Walk<'a> {
    path: &'a [Step],
}

impl<'a> Walk<'a> {
    fn next(self) -> Self {
        Self { path: self.path.get(1..).unwrap_or_default() }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Found: the message is never shown.
fn here<E: serde::de::Error>() -> E {
    E::custom("here")
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(here())
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        Err(here())
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        Err(here())
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        Err(here())
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        Err(here())
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        Err(here())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some(Step::Item(index)) = self.path.first() else { return Err(here()) };
        for _ in 0..*index {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(self.next())?;
        Err(here())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (index, wants_key) = match self.path.first() {
            Some(Step::Key(index)) => (*index, true),
            Some(Step::Value(index)) => (*index, false),
            _ => return Err(here()),
        };
        for _ in 0..index {
            map.next_entry::<IgnoredAny, IgnoredAny>()?;
        }
        if wants_key {
            map.next_key_seed(self.next())?;
        } else {
            map.next_key::<IgnoredAny>()?;
            map.next_value_seed(self.next())?;
        }
        Err(here())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'n>(node: &'n Node, key: &str) -> &'n Node {
        let Kind::Mapping(entries) = &node.kind else { panic!("no mapping") };
        &entries.iter().find(|entry| entry.key == key).expect("key").value
    }

    fn scalar(node: &Node) -> (&str, bool) {
        let Kind::Scalar { text: Some(text), plain } = &node.kind else { panic!("no scalar") };
        (text, *plain)
    }

    #[test]
    fn scalars_keep_their_spelling_and_their_quotes() {
        let text = "a: 1.50\nb: yes\nc: \"yes\"\nd: 'on'\ne: 0x1F\nf: True\ng: \"True\"\n";
        let (document, root) = Document::parse(text.to_owned()).ok().unwrap();
        let found = |key| {
            let node = value(&root, key);
            let (text, plain) = scalar(node);
            (text, plain || document.is_plain(text, &node.path))
        };
        assert_eq!(found("a"), ("1.50", true));
        assert_eq!(found("b"), ("yes", true));
        assert_eq!(found("c"), ("yes", false));
        assert_eq!(found("d"), ("on", false));
        assert_eq!(found("e"), ("0x1F", true));
        assert_eq!(found("f"), ("True", true));
        assert_eq!(found("g"), ("True", false));
    }

    #[test]
    fn words_are_plain_where_none_is_a_string() {
        for (text, key, plain) in [
            ("a: yes\nb: 'it''s'\nc: \"no, thanks\"\n", "a", true),
            ("a: yes\nb: 'on'\n", "a", true),
            ("a: yes\nb: 'on'\n", "b", false),
            ("a: |-\n  yes\n", "a", false),
            ("a: \"yes\"\n", "a", false),
        ] {
            let (document, root) = Document::parse(text.to_owned()).ok().unwrap();
            let node = value(&root, key);
            let (word, known) = scalar(node);
            assert!(!known);
            assert_eq!(document.is_plain(word, &node.path), plain, "{text}");
        }
    }

    #[test]
    fn nodes_know_their_lines() {
        let text = "# comment\na:\n  b: 1\n  c:\n    - x\n    - y\nd: {e: f}\n";
        let (document, root) = Document::parse(text.to_owned()).ok().unwrap();
        let c = value(value(&root, "a"), "c");
        let Kind::Sequence(items) = &c.kind else { panic!("no list") };
        assert_eq!(document.line(&items[1].path), Some(6));
        assert_eq!(document.line(&value(value(&root, "d"), "e").path), Some(7));
        let Kind::Mapping(entries) = &root.kind else { panic!("no mapping") };
        assert_eq!(document.line(&entries[1].key_path), Some(7));
    }

    #[test]
    fn an_empty_text_is_nothing_and_later_documents_do_not_count() {
        for text in ["", "# only a comment\n", "---\n", "\u{feff}"] {
            let root = Document::parse(text.to_owned())
                .map(|(_, root)| root)
                .map_err(|error| error.message);
            assert!(
                matches!(&root, Ok(root) if matches!(root.kind, Kind::Null)),
                "{text:?}: {:?}",
                root.map(|_| ())
            );
        }
        let (_, root) = Document::parse("a: 1\n---\nb: [\n".to_owned()).ok().unwrap();
        assert_eq!(scalar(value(&root, "a")).0, "1");
    }

    #[test]
    fn merge_keys_take_over_what_is_not_given() {
        let text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n";
        let (_, root) = Document::parse(text.to_owned()).ok().unwrap();
        let y = value(&root, "y");
        assert_eq!(scalar(value(y, "a")).0, "1");
        assert_eq!(scalar(value(y, "b")).0, "3");
    }

    #[test]
    fn a_syntax_error_has_its_line() {
        let Err(error) = Document::parse("a: 1\nb: [1, 2\nc: 3\n".to_owned()) else {
            panic!("parsed");
        };
        assert!(error.line.is_some(), "{}", error.message);
        assert!(!error.message.contains("line"), "{}", error.message);
    }
}
