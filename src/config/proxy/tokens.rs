//! `proxy.tokens` and `proxy.tokens_file`: bearer tokens by name (RFC 6750), as hashes.

use std::fmt;

use crate::config::document::Document;
use crate::config::findings::Problems;
use crate::config::node::{Node, Section};
use crate::config::secret::presentable;
use crate::config::sources::Sources;

const SHA256: &str = "sha256:";
const HEX_DIGITS: usize = 64;

/// A token that is known by its hash alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    pub sha256: [u8; 32],
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

pub fn validate(
    section: &Section<'_>,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Vec<Token> {
    let place = "proxy.tokens";
    let mut tokens = Vec::new();
    if let Some(node) = section.get("tokens") {
        for (node, name, text) in entries(node, place, problems) {
            match parse(text) {
                Some(sha256) => tokens.push(Token { name, sha256 }),
                None => problems.error(node, format!("{place}: {}", expected(&name))),
            }
        }
    }
    if let Some(node) = section.get("tokens_file") {
        from_file(node, &mut tokens, sources, problems);
    }
    tokens
}

/// The same mapping in a file of its own, whose problems are told at the line that names it.
fn from_file(node: &Node, tokens: &mut Vec<Token>, sources: &mut Sources, problems: &mut Problems) {
    let place = "proxy.tokens_file";
    let Some(name) = node.string(place, problems) else { return };
    let path = sources.directory().join(name);
    let mut complain = |what: String| problems.error(node, format!("{place}: {what}"));
    let text = match sources.read(&path) {
        Ok(content) => content,
        Err(error) => return complain(error),
    };
    let text = std::str::from_utf8(&text).map(str::to_owned);
    let Ok(Ok((_, root))) = text.map(Document::parse) else {
        return complain(format!("{} is not a YAML mapping", path.display()));
    };
    let mut inner = Problems::default();
    for (_, name, text) in entries(&root, "the file", &mut inner) {
        match parse(text) {
            Some(_) if tokens.iter().any(|token| token.name == name) => {
                complain(format!("{} is in proxy.tokens, too", presentable(&name)));
            }
            Some(sha256) => tokens.push(Token { name, sha256 }),
            None => complain(expected(&name)),
        }
    }
    for message in inner.messages() {
        complain(message.to_owned());
    }
}

fn entries<'n>(
    node: &'n Node,
    place: &str,
    problems: &mut Problems,
) -> Vec<(&'n Node, String, &'n str)> {
    let entries = node.entries(place, problems);
    entries
        .into_iter()
        .filter_map(|entry| {
            let text = entry.value.string(place, problems)?;
            Some((&entry.value, entry.key.clone(), text))
        })
        .collect()
}

/// Never the value: it may be the token.
fn expected(name: &str) -> String {
    format!(
        "{}: expected sha256: and {HEX_DIGITS} hexadecimal digits; hash a token with \
         `printf %s TOKEN | sha256sum`",
        presentable(name)
    )
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digits = text.strip_prefix(SHA256)?;
    if digits.len() != HEX_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
