//! serde_yaml, the only parser.

#[cfg(test)]
use std::cell::Cell;

use serde::Deserialize;
use serde::de::IgnoredAny;

#[cfg(test)]
thread_local! {
    /// The number of times that a text was parsed on this thread.
    pub static PASSES: Cell<usize> = const { Cell::new(0) };
}

/// Begins a pass over the first document of a text, if there is one.
pub fn first_document(text: &str) -> Option<serde_yaml::Deserializer<'_>> {
    #[cfg(test)]
    PASSES.set(PASSES.get() + 1);
    serde_yaml::Deserializer::from_str(text).next()
}

/// Returns what the parser says about text after the first document that is no document of its own, such
/// as a key that stands further left than the first one. Without this it would be ignored.
pub fn trailing_text(text: &str) -> Option<serde_yaml::Error> {
    let second = serde_yaml::Deserializer::from_str(text).nth(1)?;
    let error = IgnoredAny::deserialize(second).err()?;
    error.to_string().contains("did not find expected <document start>").then_some(error)
}
