//! `proxy.tokens` and `proxy.tokens_file`: bearer tokens by name (RFC 6750), as hashes.

use std::fmt;

use crate::config::file::File;
use crate::config::findings::Problems;
use crate::config::node::{Node, Section};
use crate::config::secret::presentable;
use crate::config::sources::ConfigFiles;
use crate::config::users::PasswordHash;

const SHA256: &str = "sha256:";
const HEX_DIGITS: usize = 64;

/// A wrong token is checked against every bcrypt hash.
const MOST_BCRYPT: usize = 8;

/// A token that is known by its hash alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    pub name: String,
    pub hash: TokenHash,
}

#[derive(Clone, PartialEq, Eq)]
pub enum TokenHash {
    /// For long random tokens.
    Sha256([u8; 32]),
    /// For those that could be guessed.
    Bcrypt(PasswordHash),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

pub fn validate(
    section: &Section<'_>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Vec<Token> {
    let place = "proxy.tokens";
    let mut tokens = Vec::new();
    if let Some(node) = section.get("tokens") {
        for (node, name, text) in entries(node, place, problems) {
            match parse(text) {
                Some(hash) => tokens.push(Token { name, hash }),
                None => problems.error(node, format!("{place}: {}", expected(&name))),
            }
        }
    }
    let file = section.get("tokens_file");
    if let Some(node) = file {
        from_file(node, &mut tokens, sources, problems);
    }
    for (index, token) in tokens.iter().enumerate() {
        let mut earlier = tokens.iter().take(index);
        if let Some(other) = earlier.find(|other| other.hash == token.hash)
            && let Some(node) = file.or(section.get("tokens"))
        {
            let names = [&other.name, &token.name].map(|name| presentable(name));
            problems.error(node, format!("{place}: {} are the same token", names.join(" and ")));
        }
    }
    let slow = tokens.iter().filter(|token| matches!(token.hash, TokenHash::Bcrypt(_))).count();
    if let Some(node) = file.or(section.get("tokens")).filter(|_| slow > MOST_BCRYPT) {
        problems.error(
            node,
            format!(
                "{place}: {slow} bcrypt hashes, and a wrong token is checked against each; at most \
                 {MOST_BCRYPT}: give long random tokens sha256 hashes"
            ),
        );
    }
    tokens
}

/// The same mapping in a file of its own.
fn from_file(
    node: &Node,
    tokens: &mut Vec<Token>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) {
    let place = "proxy.tokens_file";
    let Some(name) = node.string(place, problems) else { return };
    let path = sources.directory().join(name);
    let content = match sources.read(&path) {
        Ok(content) => content,
        Err(error) => return problems.error(node, format!("{place}: {error}")),
    };
    let mut file = match File::parse(&path, &content, sources) {
        Ok(file) => file,
        Err(findings) => return problems.of_file(findings),
    };
    for (node, name, text) in entries(&file.root, "tokens", &mut file.problems) {
        match parse(text) {
            Some(_) if tokens.iter().any(|token| token.name == name) => {
                let message = format!("tokens: {} is in proxy.tokens, too", presentable(&name));
                file.problems.error(node, message);
            }
            Some(hash) => tokens.push(Token { name, hash }),
            None => file.problems.error(node, format!("tokens: {}", expected(&name))),
        }
    }
    problems.of_file(file.into_findings());
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
        "{}: expected sha256: and {HEX_DIGITS} hexadecimal digits (`printf %s TOKEN | sha256sum`), \
         or a bcrypt hash (`exporter-guard hash-password`)",
        presentable(name)
    )
}

fn parse(text: &str) -> Option<TokenHash> {
    match text.strip_prefix(SHA256) {
        Some(digits) => sha256(digits).map(TokenHash::Sha256),
        None => PasswordHash::parse(text).ok().map(TokenHash::Bcrypt),
    }
}

fn sha256(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != HEX_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}
