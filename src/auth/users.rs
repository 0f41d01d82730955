//! The users of one configuration, and for each the last password that was right.
//!
//! A success is kept under a digest keyed with a random key of this process, over user, hash and
//! password with their lengths (CVE-2022-46146: an ambiguous key let a crafted user name match
//! another's entry). Only a success writes, and only into its own user's slot: failures cannot
//! evict anything, and memory is bounded by the number of users.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use hmac::{Hmac, KeyInit, Mac};
use openssl::memcmp;
use sha2::Sha256;

use super::bcrypt_hash::{self, BcryptHash};
use super::verifier::Verifier;
use super::{Credentials, Denial, Digest, Origin};
use crate::config::User;

struct Entry {
    hash_text: String,
    /// `None`: no password can match it.
    hash: Option<BcryptHash>,
    verified: RwLock<Option<Digest>>,
}

/// Every user of one snapshot.
#[derive(Default)]
pub struct Users {
    by_name: HashMap<Vec<u8>, Arc<Entry>>,
    /// The cost of the dearest hash: every failure takes the time of this one.
    highest_cost: u32,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({})", self.by_name.len())
    }
}

impl Users {
    /// Users whose hash did not change keep what `previous` remembers of them, so that a reload
    /// costs no scrape a bcrypt run.
    pub fn new(users: &[User], previous: Option<&Users>) -> Self {
        let by_name: HashMap<_, _> = users
            .iter()
            .map(|user| {
                let name = user.name.clone().into_bytes();
                let known = previous
                    .and_then(|previous| previous.by_name.get(&name))
                    .filter(|entry| entry.hash_text == user.hash.as_str())
                    .cloned();
                (name, known.unwrap_or_else(|| Arc::new(Entry::new(user))))
            })
            .collect();
        let highest_cost = users.iter().map(|user| user.hash.cost()).max().unwrap_or(0);
        Self { by_name, highest_cost }
    }

    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// A password that was right before costs two digests; anything else a bcrypt run.
    pub async fn check(
        &self,
        credentials: Credentials,
        verifier: &Verifier,
        origin: Origin,
    ) -> Result<(), Denial> {
        let entry = self.by_name.get(credentials.user()).cloned();
        let hash_text = entry.as_ref().map_or("", |entry| &entry.hash_text);
        let digest = keyed_digest(credentials.user(), hash_text, credentials.password());
        if entry.as_ref().is_some_and(|entry| entry.remembers(&digest)) {
            return Ok(());
        }
        let highest_cost = self.highest_cost;
        let task = move || match entry {
            Some(entry) => entry.verify(credentials.password(), digest, highest_cost),
            None => {
                bcrypt_hash::burn(highest_cost, credentials.password());
                false
            }
        };
        let matched = verifier.verify(digest, origin, task).await?;
        if matched { Ok(()) } else { Err(Denial::WrongCredentials) }
    }
}

impl Entry {
    fn new(user: &User) -> Self {
        Self {
            hash_text: user.hash.as_str().to_owned(),
            hash: BcryptHash::parse(&user.hash),
            verified: RwLock::new(None),
        }
    }

    /// Every failure takes 2^highest_cost rounds, whoever the user and whatever the cost of that
    /// user's hash, so that time tells nothing of who exists (the toolkit's fixed cost-10 dummy
    /// does).
    fn verify(&self, password: &[u8], digest: Digest, highest_cost: u32) -> bool {
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

    fn remembers(&self, digest: &Digest) -> bool {
        self.verified
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|verified| memcmp::eq(&verified, digest))
    }

    fn remember(&self, digest: Digest) {
        *self.verified.write().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }
}

pub(super) fn keyed_digest(user: &[u8], hash: &str, password: &[u8]) -> Digest {
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
