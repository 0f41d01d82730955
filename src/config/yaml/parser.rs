//! serde_yaml, the only parser.

#[cfg(test)]
use std::cell::Cell;

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
