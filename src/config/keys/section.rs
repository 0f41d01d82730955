//! A mapping of the file whose keys have been checked against their declarations.

use std::collections::HashMap;
use std::fmt::Display;

use super::declaration::{Declaration, Key, SectionKeys, ValueType};
use super::suggestion;
use super::value::Value;
use crate::config::files::presentable;

/// A section of the file, out of which values are taken by key.
pub struct Section<'a> {
    value: Value<'a>,
    keys: &'static SectionKeys,
    /// The values that are not null.
    values: HashMap<&'a str, Value<'a>>,
    /// The section whose values are the defaults of this one's.
    inherited: Option<&'a Section<'a>>,
}

impl<'a> Section<'a> {
    /// Opens a mapping. A key that is unknown or stands there twice is an error, as is a value that is
    /// no mapping; null is a section without keys. A key that protects something and has no value is an
    /// error.
    pub fn open(value: Value<'a>, keys: &'static SectionKeys) -> Self {
        let mut values = HashMap::new();
        for entry in value.entries() {
            match keys.find(entry.key) {
                None => {
                    let home = entry.value.reader().home_of(entry.key);
                    let hint = suggestion::about(entry.key, keys, home);
                    let key = presentable(entry.key);
                    entry.error_at_key(format!("unknown key {key}; {hint}"));
                }
                Some(key) if entry.value.node().is_null() && !key.off().is_empty() => {
                    entry.error_at_key(format!(
                        "{}: has no value, and half a file looks like this; to mean none, write \
                         `{}: {}`, or remove the key",
                        name_below(&value, key),
                        key.name(),
                        key.off()
                    ));
                }
                Some(_) => {}
            }
            if !entry.value.node().is_null() {
                values.insert(entry.key, entry.value);
            }
        }
        Self { value, keys, values, inherited: None }
    }

    /// Takes the values of `inherited` for keys that are not given here and may stand in both.
    pub fn inheriting(mut self, inherited: &'a Section<'a>) -> Self {
        self.inherited = Some(inherited);
        self
    }

    /// Returns the mapping itself.
    pub fn value(&self) -> &Value<'a> {
        &self.value
    }

    /// Returns the name of a key of this section for messages.
    pub fn name_of(&self, key: &dyn Declaration) -> String {
        name_below(&self.value, key)
    }

    /// Returns the value that stands under a key in this very section.
    pub fn own_value(&self, key: &dyn Declaration) -> Option<Value<'a>> {
        debug_assert!(self.keys.has(key), "{} is no key of {}", key.name(), self.keys.name);
        let value = self.values.get(key.name())?;
        Some(value.named(&self.name_of(key)))
    }

    /// Returns the value of a key, be it inherited.
    pub fn find(&self, key: &dyn Declaration) -> Option<Value<'a>> {
        self.own_value(key).or_else(|| {
            let inherited = self.inherited.filter(|inherited| inherited.keys.has(key))?;
            inherited.own_value(key)
        })
    }

    /// Returns whether a key has a value, be it inherited.
    pub fn has(&self, key: &dyn Declaration) -> bool {
        self.find(key).is_some()
    }

    /// Reads the value of a key, be it inherited; `None` without one, or when it is not of the key's
    /// type, which is an error.
    pub fn get<T: ValueType>(&self, key: &Key<T>) -> Option<T::Value<'a>> {
        self.find(key).and_then(|value| key.value_type().read(value))
    }

    /// Reads the value of a key under another name for messages.
    pub fn get_as<T: ValueType>(&self, key: &Key<T>, name: &str) -> Option<T::Value<'a>> {
        self.find(key).and_then(|value| key.value_type().read(value.named(name)))
    }

    /// Reads the inherited value of a key, and the one that stands here.
    pub fn get_each<T: ValueType>(&self, key: &Key<T>) -> Vec<T::Value<'a>> {
        let inherited = self.inherited.and_then(|inherited| inherited.own_value(key));
        let values = inherited.into_iter().chain(self.own_value(key));
        values.filter_map(|value| key.value_type().read(value)).collect()
    }

    /// Returns the names of the keys that have a value, be it inherited or empty.
    pub fn declared(&self) -> Vec<&'static str> {
        let present = self.keys.keys().filter(|key| self.has(*key));
        present.map(Declaration::name).collect()
    }

    /// Adds an error about a key, at its value or else at the section.
    pub fn error(&self, key: &dyn Declaration, message: impl Display) {
        self.value_or_section(key).error(message);
    }

    /// Adds a warning about a key, at its value or else at the section.
    pub fn warning(&self, key: &dyn Declaration, message: impl Display) {
        self.value_or_section(key).warning(message);
    }

    fn value_or_section(&self, key: &dyn Declaration) -> Value<'a> {
        self.find(key).unwrap_or_else(|| self.value.named(&self.name_of(key)))
    }
}

/// Returns the name of a key of the section that `value` is.
fn name_below(value: &Value<'_>, key: &dyn Declaration) -> String {
    match value.name() {
        "" => key.name().to_owned(),
        name => format!("{name}.{}", key.name()),
    }
}
