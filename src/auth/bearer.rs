//! Bearer tokens (RFC 6750). The configuration holds only their hashes.

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
    /// Tried one after the other: a token carries no name by which its hash could be looked up.
    bcrypt: Arc<Vec<BcryptToken>>,
}

struct Sha256Token {
    name: String,
    known_sources: Arc<KnownSources>,
}

impl Sha256Token {
    fn new(name: &str, digest: &[u8; 32], previous: Option<&Tokens>) -> Self {
        let previous = previous.and_then(|tokens| tokens.by_sha256.get(digest));
        let known_sources =
            previous.map(|token| Arc::clone(&token.known_sources)).unwrap_or_default();
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
        let mut previous = previous.into_iter().flat_map(|tokens| tokens.bcrypt.iter());
        let unchanged =
            previous.find(|token| token.name == name && token.hash.text() == hash.as_str());
        unchanged.cloned().unwrap_or_else(|| Self {
            name: name.to_owned(),
            cost: hash.cost(),
            hash: Arc::new(CachedHash::new(hash)),
        })
    }

    fn digest(&self, token: &[u8]) -> Digest {
        keyed_digest(self.name.as_bytes(), self.hash.text(), token)
    }

    fn is_cached(&self, token: &[u8]) -> bool {
        self.hash.is_cached(&self.digest(token))
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
    /// Builds the tokens of a configuration. A token whose hash is the same in `previous` keeps its
    /// cached result and its known sources, so it is not checked anew.
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

    /// Returns the token of an `Authorization` field; `None` for another scheme.
    pub fn read(header: &[u8]) -> Option<&[u8]> {
        let (scheme, token) = header.split_at_checked(SCHEME.len())?;
        // RFC 6750 section 2.1: a token has at least one character.
        (scheme.eq_ignore_ascii_case(SCHEME) && !token.is_empty()).then_some(token)
    }

    /// Returns the name of the token. The lookup is by hash, so its time reveals nothing about
    /// other tokens. A wrong token counts as a failure of its client network.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::WrongCredentials`] for an unknown token, or the reason why the token
    /// cannot be checked now.
    pub async fn check(
        &self,
        token: &[u8],
        verifier: &Verifier,
        origin: Origin,
    ) -> Result<&str, Refusal> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let sha256_token =
            self.by_sha256.get(&digest).map(|token| (&*token.name, &*token.known_sources));
        if let Some((name, known_sources)) = sha256_token.or_else(|| self.find_cached(token)) {
            return verifier.admit(origin, known_sources).map(|()| name);
        }
        let candidates = Arc::clone(&self.bcrypt);
        let unchecked = zeroize::Zeroizing::new(token.to_vec());
        let task = move || {
            // Longer tokens are refused, since bcrypt reads only their first 72 bytes.
            unchecked.len() <= BCRYPT_READS
                && candidates.iter().any(|candidate| candidate.verify(&unchecked))
        };
        // The cache says which token has matched; the result says only that one has.
        let _ = verifier.verify(digest, origin, task).await?;
        let (name, known_sources) = self.find_cached(token).ok_or(Refusal::WrongCredentials)?;
        known_sources.add(origin.source);
        Ok(name)
    }

    /// Finds a token with a bcrypt hash that was right before.
    fn find_cached(&self, token: &[u8]) -> Option<(&str, &KnownSources)> {
        let cached = self.bcrypt.iter().find(|candidate| candidate.is_cached(token))?;
        Some((&cached.name, &cached.hash.known_sources))
    }
}
