//! The types of values that are sections, or lists of them.

use serde_json::{Value as Json, json};

use super::declaration::{SectionKeys, ValueType};
use super::section::Section;
use super::value::Value;

/// A mapping with declared keys.
pub struct Nested(pub &'static SectionKeys);

/// Returns the reference to the schema of a section, which stands among the definitions.
pub fn schema_reference(keys: &SectionKeys) -> Json {
    json!({"$ref": format!("#/$defs/{}", keys.name)})
}

/// Returns the link to a section of docs/configuration.md.
fn link(keys: &SectionKeys) -> String {
    format!("[`{}`](#{})", keys.name, keys.name.replace('.', "").replace(' ', "-").to_lowercase())
}

impl ValueType for Nested {
    type Value<'a> = Section<'a>;

    fn read<'a>(&self, value: Value<'a>) -> Option<Section<'a>> {
        Some(Section::open(value, self.0))
    }

    fn schemas(&self) -> Vec<Json> {
        vec![schema_reference(self.0)]
    }

    fn describe(&self) -> String {
        format!("section {}", link(self.0))
    }

    fn section(&self) -> Option<&'static SectionKeys> {
        Some(self.0)
    }
}

/// A list of mappings with declared keys.
pub struct NestedList {
    keys: &'static SectionKeys,
    /// Describes the list in a message.
    expected: &'static str,
}

impl NestedList {
    /// Declares a list; `expected` describes it in a message.
    pub const fn of(keys: &'static SectionKeys, expected: &'static str) -> Self {
        Self { keys, expected }
    }
}

impl ValueType for NestedList {
    /// The items; each is opened by what reads it, under a name that it chooses.
    type Value<'a> = Vec<Value<'a>>;

    fn read<'a>(&self, value: Value<'a>) -> Option<Vec<Value<'a>>> {
        let items = value.items().map(Iterator::collect);
        if items.is_none() {
            value.error(format!("expected {}", self.expected));
        }
        items
    }

    fn schemas(&self) -> Vec<Json> {
        vec![json!({"type": "array", "items": schema_reference(self.keys)})]
    }

    fn describe(&self) -> String {
        format!("list of {}", link(self.keys))
    }

    fn section(&self) -> Option<&'static SectionKeys> {
        Some(self.keys)
    }
}
