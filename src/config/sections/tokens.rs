//! `proxy.tokens` and `proxy.tokens_file`: bearer tokens by name (RFC 6750), as hashes.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::users::PasswordHash;
use crate::config::files::presentable;
use crate::config::keys::proxy::{TOKENS, TOKENS_FILE};
use crate::config::keys::{Section, TextValue, Value};

const SHA256: &str = "sha256:";
const HEX_DIGITS: usize = 64;

/// The most tokens with bcrypt hashes: a wrong token is checked against each.
const MAX_BCRYPT: usize = 8;

/// A token that is known by its hash alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The name by which rules refer to it.
    pub name: String,
    /// The hash of the token.
    pub hash: TokenHash,
}

/// The hash of a token.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenHash {
    /// SHA-256, for long random tokens.
    Sha256([u8; 32]),
    /// bcrypt, for tokens that could be guessed.
    Bcrypt(PasswordHash),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

/// Reads the tokens of the section `proxy` and of the file that it names.
pub fn read(proxy: &Section<'_>) -> Vec<Token> {
    let mut tokens = Vec::new();
    if let Some(value) = proxy.find(&TOKENS) {
        for (text, name) in entries(&value) {
            match parse(text.as_str()) {
                Some(hash) => tokens.push(Token { name, hash }),
                None => text.error(expected(&name)),
            }
        }
    }
    if let Some(name) = proxy.get(&TOKENS_FILE) {
        add_file(&name, &mut tokens);
    }
    let value = proxy.find(&TOKENS_FILE).or_else(|| proxy.find(&TOKENS));
    if let Some(value) = value {
        check(&tokens, &value.named(&proxy.name_of(&TOKENS)));
    }
    tokens
}

/// Reads the same mapping in a file of its own.
fn add_file(name: &TextValue<'_>, tokens: &mut Vec<Token>) {
    let reader = name.reader();
    let Some(file) = name.read_yaml(&name.to_path()) else { return };
    let inner = reader.other(file.findings);
    add_entries(&Value::new(&inner, &file.root, "tokens"), tokens);
    reader.append(inner.into_findings());
}

fn add_entries(value: &Value<'_>, tokens: &mut Vec<Token>) {
    let mut names: HashSet<String> = tokens.iter().map(|token| token.name.clone()).collect();
    for (text, name) in entries(value) {
        match parse(text.as_str()) {
            Some(_) if names.contains(&name) => {
                text.error(format!("{} is in proxy.tokens, too", presentable(&name)));
            }
            Some(hash) => {
                names.insert(name.clone());
                tokens.push(Token { name, hash });
            }
            None => text.error(expected(&name)),
        }
    }
}

/// Finds tokens that are there twice, and too many slow ones.
fn check(tokens: &[Token], value: &Value<'_>) {
    let mut by_hash = HashMap::new();
    for token in tokens {
        let hash = match &token.hash {
            TokenHash::Sha256(digest) => digest.as_slice(),
            TokenHash::Bcrypt(hash) => hash.as_str().as_bytes(),
        };
        let first: &mut &String = by_hash.entry(hash).or_insert(&token.name);
        if **first != token.name {
            let names = [*first, &token.name].map(|name| presentable(name));
            value.error(format!("{} are the same token", names.join(" and ")));
        }
    }
    let slow = tokens.iter().filter(|token| matches!(token.hash, TokenHash::Bcrypt(_))).count();
    if slow > MAX_BCRYPT {
        value.error(format!(
            "{slow} bcrypt hashes, and a wrong token is checked against each; at most {MAX_BCRYPT}: \
             give long random tokens sha256 hashes"
        ));
    }
}

fn entries<'a>(value: &Value<'a>) -> Vec<(TextValue<'a>, String)> {
    let entries = value.entries().into_iter();
    entries.filter_map(|entry| Some((entry.value.text()?, entry.key.to_owned()))).collect()
}

/// Describes a hash; the message never has the value, which may be the token.
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
