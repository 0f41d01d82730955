//! A bcrypt hash, and the last password that was right for it.
//!
//! A success is kept under a digest keyed with a random key of this process, over user, hash and
//! password with their lengths (CVE-2022-46146: an ambiguous key let a crafted user name match
//! another's entry). Only a success writes, and only into its own slot: failures cannot evict
//! anything, and memory is bounded by the number of hashes.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use openssl::memcmp;
use parking_lot::RwLock;
use sha2::Sha256;

use super::bcrypt_hash::BcryptHash;
use super::known_sources::KnownSources;
use super::{Digest, bcrypt_hash};
use crate::config::PasswordHash;

/// One hash of a snapshot, and of those after it that have it, too.
pub struct CachedHash {
    hash_text: String,
    /// `None`: no password can match it.
    hash: Option<BcryptHash>,
    verified: RwLock<Option<Digest>>,
    /// Who knew what matches it.
    pub known_sources: KnownSources,
}

impl CachedHash {
    pub fn new(hash: &PasswordHash) -> Self {
        Self {
            hash_text: hash.as_str().to_owned(),
            hash: BcryptHash::parse(hash),
            verified: RwLock::new(None),
            known_sources: KnownSources::default(),
        }
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.hash_text
    }

    /// Every failure takes 2^highest_cost rounds, whoever the user and whatever the cost of that
    /// user's hash, so that time tells nothing of who exists (the toolkit's fixed cost-10 dummy
    /// does).
    pub fn verify(&self, password: &[u8], digest: Digest, highest_cost: u32) -> bool {
        // Another attempt with the same password may have ended since this one was queued.
        if self.remembers(&digest) {
            return true;
        }
        let Some(hash) = &self.hash else {
            bcrypt_hash::burn(highest_cost, password);
            return false;
        };
        let matched = hash.matches(password);
        if matched {
            self.remember(digest);
        } else {
            // 2^c + (2^c + 2^(c+1) + … + 2^(h-1)) = 2^h
            for cost in hash.cost()..highest_cost {
                bcrypt_hash::burn(cost, password);
            }
        }
        matched
    }

    /// Whether it was right before.
    pub fn remembers(&self, digest: &Digest) -> bool {
        self.verified.read().is_some_and(|verified| memcmp::eq(&verified, digest))
    }

    fn remember(&self, digest: Digest) {
        *self.verified.write() = Some(digest);
    }
}

/// What a password is remembered by.
pub fn keyed_digest(user: &[u8], hash: &str, password: &[u8]) -> Digest {
    let mut mac = keyed_mac().clone();
    for part in [user, hash.as_bytes(), password] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// The key lives as long as the process and is nowhere else.
fn keyed_mac() -> &'static Hmac<Sha256> {
    static MAC: OnceLock<Hmac<Sha256>> = OnceLock::new();
    MAC.get_or_init(|| {
        let mut key = zeroize::Zeroizing::new([0u8; 32]);
        openssl::rand::rand_bytes(key.as_mut_slice())
            .expect("no random numbers, no authentication");
        Hmac::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length")
    })
}

#[cfg(test)]
mod tests {
    use super::keyed_digest;

    /// CVE-2022-46146: the parts of the key must not run into each other.
    #[test]
    fn digest_is_not_ambiguous() {
        assert_ne!(keyed_digest(b"ab", "c", b"d"), keyed_digest(b"a", "bc", b"d"));
        assert_ne!(keyed_digest(b"a", "bc", b"d"), keyed_digest(b"a", "b", b"cd"));
        assert_eq!(keyed_digest(b"a", "b", b"c"), keyed_digest(b"a", "b", b"c"));
    }
}
