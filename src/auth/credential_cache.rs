//! A bcrypt hash, and a cache of the last password that matched it.
//!
//! A success is cached as a digest under a random key of this process, over user, hash and password
//! with their lengths (CVE-2022-46146: an ambiguous key let a crafted user name match the entry of
//! another user). Only a success writes, and only into the slot of its own hash: failures cannot
//! evict anything, and memory is bounded by the number of hashes.

use std::sync::OnceLock;

use hmac::{Hmac, KeyInit, Mac};
use openssl::memcmp;
use parking_lot::RwLock;
use sha2::Sha256;

use super::bcrypt_hash::BcryptHash;
use super::known_sources::KnownSources;
use super::{Digest, bcrypt_hash};
use crate::config::PasswordHash;

/// A hash and its cached success. Successive snapshots share it as long as they contain the hash.
pub struct CachedHash {
    hash_text: String,
    /// `None` if no password can match the hash.
    hash: Option<BcryptHash>,
    /// The digest of the password that matched last.
    verified: RwLock<Option<Digest>>,
    /// The client networks that have authenticated against this hash.
    pub known_sources: KnownSources,
}

impl CachedHash {
    /// Parses a hash; its cache is empty.
    pub fn new(hash: &PasswordHash) -> Self {
        Self {
            hash_text: hash.as_str().to_owned(),
            hash: BcryptHash::parse(hash),
            verified: RwLock::new(None),
            known_sources: KnownSources::default(),
        }
    }

    /// Returns the hash as the configuration has it.
    pub fn text(&self) -> &str {
        &self.hash_text
    }

    /// Returns whether the password matches the hash, and caches a success.
    ///
    /// Every failure takes 2^`highest_cost` rounds, whichever the user and whatever the cost of
    /// that user's hash, so that the time does not reveal which users exist. (The toolkit's dummy
    /// hash has the fixed cost 10, which does reveal it.)
    pub fn verify(&self, password: &[u8], digest: Digest, highest_cost: u32) -> bool {
        // Another attempt with the same password may have succeeded since this one was queued.
        if self.is_cached(&digest) {
            return true;
        }
        let Some(hash) = &self.hash else {
            bcrypt_hash::burn(highest_cost, password);
            return false;
        };
        let matched = hash.matches(password);
        if matched {
            self.cache(digest);
        } else {
            // 2^c + (2^c + 2^(c+1) + … + 2^(h-1)) = 2^h
            for cost in hash.cost()..highest_cost {
                bcrypt_hash::burn(cost, password);
            }
        }
        matched
    }

    /// Returns whether the password with this digest was the last one that matched.
    pub fn is_cached(&self, digest: &Digest) -> bool {
        self.verified.read().is_some_and(|verified| memcmp::eq(&verified, digest))
    }

    fn cache(&self, digest: Digest) {
        *self.verified.write() = Some(digest);
    }
}

/// Returns the digest that a password is cached as.
///
/// # Panics
///
/// Panics if OpenSSL has no random numbers for the key.
pub fn keyed_digest(user: &[u8], hash: &str, password: &[u8]) -> Digest {
    let mut mac = keyed_mac().clone();
    for part in [user, hash.as_bytes(), password] {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Returns the HMAC with the key, which lives as long as the process and is stored nowhere else.
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

    /// CVE-2022-46146.
    #[test]
    fn bytes_that_move_from_one_part_to_another_change_the_digest() {
        assert_ne!(keyed_digest(b"ab", "c", b"d"), keyed_digest(b"a", "bc", b"d"));
        assert_ne!(keyed_digest(b"a", "bc", b"d"), keyed_digest(b"a", "b", b"cd"));
        assert_eq!(keyed_digest(b"a", "b", b"c"), keyed_digest(b"a", "b", b"c"));
    }
}
