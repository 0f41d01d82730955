//! Bearer tokens (RFC 6750), known by their hashes.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::verifier::Verifier;
use super::{Denial, Origin};
use crate::config::Token;

const SCHEME: &[u8] = b"bearer ";

/// Every token of one snapshot.
#[derive(Debug, Default)]
pub struct Tokens(HashMap<[u8; 32], String>);

impl Tokens {
    pub fn new(tokens: &[Token]) -> Self {
        Self(tokens.iter().map(|token| (token.sha256, token.name.clone())).collect())
    }

    /// What stands behind the scheme; `None` for another scheme.
    pub fn read(header: &[u8]) -> Option<&[u8]> {
        let (scheme, token) = header.split_at_checked(SCHEME.len())?;
        scheme.eq_ignore_ascii_case(SCHEME).then_some(token)
    }

    /// The name of the token. Found by its hash, so that time tells nothing of other tokens; a
    /// wrong one counts among the failures of its sender.
    pub async fn check(
        &self,
        token: &[u8],
        verifier: &Verifier,
        origin: Origin,
    ) -> Result<&str, Denial> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        if let Some(name) = self.0.get(&digest) {
            return Ok(name);
        }
        verifier.verify(digest, origin, || false).await?;
        Err(Denial::WrongCredentials)
    }
}
