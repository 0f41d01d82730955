//! Bytes that must not show: wiped when dropped, and never printed.

use std::fmt;

use zeroize::Zeroizing;

/// A key, a hash, or a file that may hold one.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes, which are wiped when the last clone of them is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl std::ops::Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Returns a text of the file as a message may show it: in quotes, unless it looks like a hash or a
/// key that got into the wrong place.
pub fn presentable(text: &str) -> String {
    let secret = text.contains("$2") || is_pem(text);
    if secret { "(not shown: it looks like a secret)".to_owned() } else { format!("{text:?}") }
}

/// Returns whether it is the content of a PEM file rather than its name.
pub fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN") || text.contains('\n')
}
