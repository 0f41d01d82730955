//! The types of values that are texts, one of several texts, or lists and mappings of texts.

use serde_json::{Value as Json, json};

use super::declaration::ValueType;
use super::value::{Entry, TextValue, Value};
use crate::config::files::presentable;

/// A text. Numbers and booleans count as their text.
pub struct Text {
    /// The word for such a text, such as "path".
    noun: &'static str,
    /// A regular expression that every such text matches, where that can be said.
    pattern: &'static str,
    min_length: usize,
}

impl Text {
    /// Declares a text of any form.
    pub const fn new(noun: &'static str) -> Self {
        Self { noun, pattern: "", min_length: 0 }
    }

    /// Declares a text that matches a pattern; what reads it checks more.
    pub const fn matching(noun: &'static str, pattern: &'static str) -> Self {
        Self { noun, pattern, min_length: 0 }
    }

    /// Adds the least number of characters.
    pub const fn of_length(mut self, min_length: usize) -> Self {
        self.min_length = min_length;
        self
    }

    fn schema(&self) -> Json {
        // A pattern that a text must match is met by no number or boolean that check takes.
        let mut schema = match self.pattern {
            "" => json!({"type": ["string", "number", "boolean"]}),
            pattern => json!({"type": ["string", "number", "boolean"], "pattern": pattern}),
        };
        if self.min_length > 0 {
            schema["type"] = json!("string");
            schema["minLength"] = json!(self.min_length);
        }
        schema
    }
}

impl ValueType for Text {
    type Value<'a> = TextValue<'a>;

    fn read<'a>(&self, value: Value<'a>) -> Option<TextValue<'a>> {
        value.text()
    }

    fn schemas(&self) -> Vec<Json> {
        vec![self.schema()]
    }

    fn describe(&self) -> String {
        self.noun.to_owned()
    }
}

/// A list of texts; a single one is a list of one.
pub struct TextList {
    item: Text,
}

impl TextList {
    /// Declares a list.
    pub const fn of(item: Text) -> Self {
        Self { item }
    }
}

fn list_schemas(item: &Json) -> Vec<Json> {
    vec![json!({"type": "array", "items": item}), item.clone()]
}

impl ValueType for TextList {
    type Value<'a> = Vec<TextValue<'a>>;

    fn read<'a>(&self, value: Value<'a>) -> Option<Vec<TextValue<'a>>> {
        Some(value.texts())
    }

    fn schemas(&self) -> Vec<Json> {
        list_schemas(&self.item.schema())
    }

    fn describe(&self) -> String {
        format!("list of {}s", self.item.noun)
    }
}

/// Texts in exactly this spelling, each with its meaning.
struct Names<T: 'static> {
    values: &'static [(&'static str, T)],
    /// Describes the values in a message.
    expected: &'static str,
}

impl<T: Copy> Names<T> {
    fn find(&self, text: &TextValue<'_>) -> Option<T> {
        let found = self.values.iter().find(|(name, _)| *name == text.as_str());
        if found.is_none() {
            let given = presentable(text.as_str());
            text.error(format!("expected {}, found {given}", self.expected));
        }
        found.map(|(_, value)| *value)
    }

    fn names(&self) -> Vec<&'static str> {
        self.values.iter().map(|(name, _)| *name).collect()
    }

    fn described(&self) -> String {
        let names: Vec<String> = self.names().iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }
}

/// One of several texts; the empty text is the default.
pub struct Choice<T: 'static> {
    names: Names<T>,
    default: (&'static str, T),
}

impl<T: Copy> Choice<T> {
    /// Declares a choice with the number of its default; `expected` describes the values in a message.
    pub const fn new(
        values: &'static [(&'static str, T)],
        default: usize,
        expected: &'static str,
    ) -> Self {
        Self { names: Names { values, expected }, default: values[default] }
    }

    /// Returns the value without the key.
    pub const fn default(&self) -> T {
        self.default.1
    }
}

impl<T: Copy + Sync> ValueType for Choice<T> {
    type Value<'a> = T;

    fn read<'a>(&self, value: Value<'a>) -> Option<T> {
        let text = value.text()?;
        if text.as_str().is_empty() { Some(self.default()) } else { self.names.find(&text) }
    }

    fn schemas(&self) -> Vec<Json> {
        let mut names = self.names.names();
        names.push("");
        vec![json!({"enum": names})]
    }

    fn describe(&self) -> String {
        format!("one of {}", self.names.described())
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.0.to_owned())
    }
}

/// A list of choices.
pub struct ChoiceList<T: 'static> {
    names: Names<T>,
}

impl<T: Copy> ChoiceList<T> {
    /// Declares a list; `expected` describes the values in a message.
    pub const fn of(values: &'static [(&'static str, T)], expected: &'static str) -> Self {
        Self { names: Names { values, expected } }
    }
}

impl<T: Copy + Sync> ValueType for ChoiceList<T> {
    /// The values that there are, without those that are unknown.
    type Value<'a> = Vec<T>;

    fn read<'a>(&self, value: Value<'a>) -> Option<Vec<T>> {
        Some(value.texts().iter().filter_map(|text| self.names.find(text)).collect())
    }

    fn schemas(&self) -> Vec<Json> {
        list_schemas(&json!({"enum": self.names.names()}))
    }

    fn describe(&self) -> String {
        format!("list of {}", self.names.described())
    }
}

/// A header field: a text, or one of several.
pub struct HeaderField {
    values: &'static [&'static str],
}

impl HeaderField {
    /// Declares a field that may have these values; none listed: any.
    pub const fn of(values: &'static [&'static str]) -> Self {
        Self { values }
    }
}

impl ValueType for HeaderField {
    type Value<'a> = TextValue<'a>;

    fn read<'a>(&self, value: Value<'a>) -> Option<TextValue<'a>> {
        value.text()
    }

    fn schemas(&self) -> Vec<Json> {
        match self.values {
            [] => vec![Text::new("text").schema()],
            values => vec![json!({"enum": values})],
        }
    }

    fn describe(&self) -> String {
        match self.values {
            [] => "text".to_owned(),
            values => format!("`{}`", values.join("` or `")),
        }
    }

    fn choices(&self) -> Vec<&'static str> {
        self.values.to_vec()
    }
}

/// A mapping whose keys are the user's own.
pub struct TextMapping {
    /// The word for the keys.
    key_noun: &'static str,
    /// A regular expression that every key matches; empty: any key.
    key_pattern: &'static str,
    value: Text,
    /// True if a value may be null, for the empty text.
    takes_null: bool,
}

impl TextMapping {
    /// Declares a mapping in which each key has a value.
    pub const fn new(key_noun: &'static str, key_pattern: &'static str, value: Text) -> Self {
        Self { key_noun, key_pattern, value, takes_null: false }
    }

    /// Lets values be null, for the empty text.
    pub const fn with_null(mut self) -> Self {
        self.takes_null = true;
        self
    }
}

impl ValueType for TextMapping {
    type Value<'a> = Vec<Entry<'a>>;

    fn read<'a>(&self, value: Value<'a>) -> Option<Vec<Entry<'a>>> {
        Some(value.entries())
    }

    fn schemas(&self) -> Vec<Json> {
        let mut value = self.value.schema();
        if self.takes_null {
            value["type"] = json!(["string", "number", "boolean", "null"]);
        }
        let mut schema = json!({"type": "object", "additionalProperties": value});
        if !self.key_pattern.is_empty() {
            schema["propertyNames"] = json!({"pattern": self.key_pattern});
        }
        vec![schema]
    }

    fn describe(&self) -> String {
        format!("mapping of {} to {}", self.key_noun, self.value.noun)
    }
}
