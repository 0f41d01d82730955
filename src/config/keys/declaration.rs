//! The declaration of a key, and of a section as a list of keys.

use serde_json::Value as Json;

use super::value::Value;

/// The type of a key's value.
pub trait ValueType: Sync {
    /// The type of the value once it is read.
    type Value<'a>;

    /// Reads a value that is not null; `None` when it is not of this type, which is an error.
    fn read<'a>(&self, value: Value<'a>) -> Option<Self::Value<'a>>;

    /// Returns JSON Schemas, one of which a value meets. Null is left to the key.
    fn schemas(&self) -> Vec<Json>;

    /// Describes the type in Markdown, with its unit and range.
    fn describe(&self) -> String;

    /// Returns the default as the file would have it, if there is one.
    fn default_text(&self) -> Option<String> {
        None
    }

    /// Returns the keys of the section that the value is, or that each item of it is.
    fn section(&self) -> Option<&'static SectionKeys> {
        None
    }

    /// Returns the only texts that it may be; none where others may come, too.
    fn choices(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

/// A key of the web configuration.
pub struct Key<T> {
    name: &'static str,
    value_type: T,
    meaning: &'static str,
    /// A description of what holds without the key, if that is no value that could be written.
    without: &'static str,
    is_required: bool,
    /// The value that turns the protection off; empty for a key that protects nothing.
    off: &'static str,
}

impl<T> Key<T> {
    /// Declares a key. The meaning is a sentence in Markdown without a full stop.
    pub const fn new(name: &'static str, value_type: T, meaning: &'static str) -> Self {
        Self { name, value_type, meaning, without: "", is_required: false, off: "" }
    }

    /// Adds what holds without the key.
    pub const fn without(mut self, without: &'static str) -> Self {
        self.without = without;
        self
    }

    /// Makes the key one that its section must have.
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Makes the key one that protects something: without a value it is an error, since half a file
    /// looks like this. `off` is the value that says that there is to be no protection.
    pub const fn protecting(mut self, off: &'static str) -> Self {
        self.off = off;
        self
    }

    /// Returns the type, which has default and range.
    pub const fn value_type(&self) -> &T {
        &self.value_type
    }
}

/// A key whose type is not told.
pub trait Declaration: Sync {
    /// Returns the name as the file has it.
    fn name(&self) -> &'static str;
    /// Returns what the key is for.
    fn meaning(&self) -> &'static str;
    /// Returns what holds without the key, in Markdown.
    fn default_text(&self) -> String;
    /// Returns whether the section must have the key.
    fn is_required(&self) -> bool;
    /// Returns the value that turns the protection of this key off; empty when it protects nothing.
    fn off(&self) -> &'static str;
    /// Describes the type in Markdown.
    fn describe(&self) -> String;
    /// Returns JSON Schemas, one of which a value meets.
    fn schemas(&self) -> Vec<Json>;
    /// Returns the default as the file would have it.
    fn default_value(&self) -> Option<String>;
    /// Returns the keys of the section that the value is, or that each item of it is.
    fn section(&self) -> Option<&'static SectionKeys>;
    /// Returns the only texts that the value may be; none where others may come, too.
    fn choices(&self) -> Vec<&'static str>;
}

impl<T: ValueType> Declaration for Key<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn meaning(&self) -> &'static str {
        self.meaning
    }

    fn default_text(&self) -> String {
        match self.value_type.default_text() {
            _ if self.is_required => "required".to_owned(),
            _ if !self.without.is_empty() => self.without.to_owned(),
            Some(default) => format!("`{default}`"),
            None => "none".to_owned(),
        }
    }

    fn is_required(&self) -> bool {
        self.is_required
    }

    fn off(&self) -> &'static str {
        self.off
    }

    fn describe(&self) -> String {
        self.value_type.describe()
    }

    fn schemas(&self) -> Vec<Json> {
        self.value_type.schemas()
    }

    fn default_value(&self) -> Option<String> {
        self.value_type.default_text()
    }

    fn section(&self) -> Option<&'static SectionKeys> {
        self.value_type.section()
    }

    fn choices(&self) -> Vec<&'static str> {
        self.value_type.choices()
    }
}

/// The program that a section comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The Prometheus exporter-toolkit, whose exporters read the same section.
    Toolkit,
    /// exporter-guard alone.
    Guard,
}

/// A section: the keys that a mapping may have.
pub struct SectionKeys {
    /// The place in the file, such as `proxy.limits`; empty for the file itself.
    pub name: &'static str,
    /// The program that the section comes from.
    pub origin: Origin,
    /// A description of the section in Markdown.
    pub introduction: &'static str,
    /// The keys that are declared here.
    pub own: &'static [&'static dyn Declaration],
    /// The keys that are declared elsewhere and may stand here as well.
    pub shared: &'static [&'static dyn Declaration],
}

impl SectionKeys {
    /// Returns every key that may stand in the section.
    pub fn keys(&self) -> impl Iterator<Item = &'static dyn Declaration> + use<> {
        self.own.iter().chain(self.shared).copied()
    }

    /// Returns the key of this name.
    pub fn find(&self, name: &str) -> Option<&'static dyn Declaration> {
        self.keys().find(|key| key.name() == name)
    }

    /// Returns whether this very key may stand in the section.
    pub fn has(&self, key: &dyn Declaration) -> bool {
        self.keys().any(|other| std::ptr::addr_eq(other, key))
    }

    /// Returns whether this very key is declared in the section.
    pub fn has_own(&self, key: &dyn Declaration) -> bool {
        self.own.iter().any(|other| std::ptr::addr_eq(*other, key))
    }

    /// Returns this section and those below it, each once.
    pub fn all(&'static self) -> Vec<&'static Self> {
        let mut sections = vec![self];
        let mut next = 0;
        while let Some(section) = sections.get(next) {
            for below in section.keys().filter_map(Declaration::section) {
                if !sections.iter().any(|known| known.name == below.name) {
                    sections.push(below);
                }
            }
            next += 1;
        }
        sections
    }
}

/// Declares a section and its keys, each of which thereby stands in the list of the section.
macro_rules! section {
    (
        $section:ident = $name:literal, $origin:ident, $introduction:literal
        $(, shares [$($shared:path),* $(,)?])?;
        $($key:ident: $type:ty = $value:expr;)*
    ) => {
        $(
            #[doc = concat!("A key of the section `", $name, "`.")]
            pub static $key: $crate::config::keys::Key<$type> = $value;
        )*
        #[doc = $introduction]
        pub static $section: $crate::config::keys::SectionKeys = $crate::config::keys::SectionKeys {
            name: $name,
            origin: $crate::config::keys::declaration::Origin::$origin,
            introduction: $introduction,
            own: &[$(&$key),*],
            shared: &[$($(&$shared),*)?],
        };
    };
}

pub(super) use section;
