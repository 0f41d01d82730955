//! Bearer tokens (RFC 6750), known by their hashes.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::credential_cache::{CachedHash, keyed_digest};
use super::known_sources::KnownSources;
use super::verifier::Verifier;
use super::{BCRYPT_READS, Digest, Origin, Refusal};
use crate::config::{PasswordHash, Token, TokenHash};

const SCHEME: &[u8] = b"bearer ";

/// Every token of one snapshot.
#[derive(Default)]
pub struct Tokens {
    by_sha256: HashMap<[u8; 32], Sha256Token>,
    /// Nothing tells which one a token belongs to: each is tried.
    bcrypt: Arc<Vec<BcryptToken>>,
}

struct Sha256Token {
    name: String,
    known_sources: Arc<KnownSources>,
}

impl Sha256Token {
    fn new(name: &str, digest: &[u8; 32], previous: Option<&Tokens>) -> Self {
        let before = previous.and_then(|previous| previous.by_sha256.get(digest));
        let known_sources =
            before.map(|sha256_token| Arc::clone(&sha256_token.known_sources)).unwrap_or_default();
        Self { name: name.to_owned(), known_sources }
    }
}

#[derive(Clone)]
struct BcryptToken {
    name: String,
    cost: u32,
    hash: Arc<CachedHash>,
}

impl BcryptToken {
    fn new(name: &str, hash: &PasswordHash, previous: Option<&Tokens>) -> Self {
        let mut before = previous.into_iter().flat_map(|previous| previous.bcrypt.iter());
        let before = before.find(|bcrypt_token| {
            bcrypt_token.name == name && bcrypt_token.hash.text() == hash.as_str()
        });
        before.cloned().unwrap_or_else(|| Self {
            name: name.to_owned(),
            cost: hash.cost(),
            hash: Arc::new(CachedHash::new(hash)),
        })
    }

    fn digest(&self, token: &[u8]) -> Digest {
        keyed_digest(self.name.as_bytes(), self.hash.text(), token)
    }

    fn remembers(&self, token: &[u8]) -> bool {
        self.hash.remembers(&self.digest(token))
    }

    fn verify(&self, token: &[u8]) -> bool {
        self.hash.verify(token, self.digest(token), self.cost)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.by_sha256.len() + self.bcrypt.len())
    }
}

impl Tokens {
    /// Those whose hash did not change need not be checked anew.
    pub fn new(tokens: &[Token], previous: Option<&Self>) -> Self {
        let mut by_sha256 = HashMap::new();
        let mut bcrypt = Vec::new();
        for Token { name, hash } in tokens {
            match hash {
                TokenHash::Sha256(digest) => {
                    by_sha256.insert(*digest, Sha256Token::new(name, digest, previous));
                }
                TokenHash::Bcrypt(hash) => bcrypt.push(BcryptToken::new(name, hash, previous)),
            }
        }
        Self { by_sha256, bcrypt: Arc::new(bcrypt) }
    }

    /// Returns whether the configuration has no tokens.
    pub fn is_empty(&self) -> bool {
        self.by_sha256.is_empty() && self.bcrypt.is_empty()
    }

    /// What stands behind the scheme; `None` for another scheme.
    pub fn read(header: &[u8]) -> Option<&[u8]> {
        let (scheme, token) = header.split_at_checked(SCHEME.len())?;
        // RFC 6750 section 2.1: it has at least one character.
        (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
    }

    /// The name of the token. Found by a hash, so that time tells nothing of other tokens; a wrong
    /// one counts among the failures of its sender.
    pub async fn check(
        &self,
        token: &[u8],
        verifier: &Verifier,
        origin: Origin,
    ) -> Result<&str, Refusal> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let sha256_token = self
            .by_sha256
            .get(&digest)
            .map(|sha256_token| (&*sha256_token.name, &*sha256_token.known_sources));
        if let Some((name, known_sources)) = sha256_token.or_else(|| self.remembered(token)) {
            return verifier.admit(origin, known_sources).map(|()| name);
        }
        let bcrypt_token = Arc::clone(&self.bcrypt);
        let unchecked = zeroize::Zeroizing::new(token.to_vec());
        let task = move || {
            // Beyond that, two tokens that begin alike would be one.
            unchecked.len() <= BCRYPT_READS
                && bcrypt_token.iter().any(|bcrypt_token| bcrypt_token.verify(&unchecked))
        };
        let _ = verifier.verify(digest, origin, task).await?;
        let (name, known_sources) = self.remembered(token).ok_or(Refusal::WrongCredentials)?;
        known_sources.add(origin.source);
        Ok(name)
    }

    /// Of those with bcrypt hashes, when it was right before.
    fn remembered(&self, token: &[u8]) -> Option<(&str, &KnownSources)> {
        let bcrypt_token = self.bcrypt.iter().find(|bcrypt_token| bcrypt_token.remembers(token))?;
        Some((&bcrypt_token.name, &bcrypt_token.hash.known_sources))
    }
}
