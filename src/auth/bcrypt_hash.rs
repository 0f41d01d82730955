//! One bcrypt hash, read as the exporter-toolkit (Go's x/crypto/bcrypt) reads it, and the check of
//! a password against it.

use base64::Engine;
use openssl::memcmp;
use zeroize::Zeroizing;

use crate::config::PasswordHash;

/// The cost of the hashes that the guard makes, as in the exporter-toolkit's documentation. A login
/// that is not cached takes 50 ms of CPU at this cost.
pub const DEFAULT_BCRYPT_COST: u32 = 10;

/// The number of bytes of a password that bcrypt reads; the bytes after them do not count.
pub const BCRYPT_READS: usize = 72;

/// Bytes of the digest in a hash: bcrypt keeps 23 of the 24 bytes that it computes.
const DIGEST_LEN: usize = 23;
const SALT_LEN: usize = 16;
/// Characters of the salt in bcrypt's base64.
const SALT_CHARS: usize = 22;
/// Characters of the digest in bcrypt's base64.
const DIGEST_CHARS: usize = 31;

/// The parts of a hash. The minor versions a, b, x, y and none are computed alike, as in Go.
#[derive(Clone)]
pub struct BcryptHash {
    cost: u32,
    salt: [u8; SALT_LEN],
    digest: [u8; DIGEST_LEN],
}

impl BcryptHash {
    /// Parses a hash; `None` if no password can match it.
    ///
    /// Such a hash passes the configuration's rules, but it has characters outside bcrypt's
    /// alphabet or is too long. Go accepts it at start and refuses every login.
    pub fn parse(hash: &PasswordHash) -> Option<Self> {
        let encoded = hash.as_str().rsplit('$').next()?;
        let (salt, digest) = encoded.split_at_checked(SALT_CHARS)?;
        if digest.len() != DIGEST_CHARS {
            return None;
        }
        Some(Self {
            cost: hash.cost(),
            salt: bcrypt::BASE_64.decode(salt).ok()?.try_into().ok()?,
            digest: bcrypt::BASE_64.decode(digest).ok()?.try_into().ok()?,
        })
    }

    /// Returns the binary logarithm of the number of rounds.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Returns whether the password matches, after 2^cost rounds. The comparison takes constant
    /// time.
    pub fn matches(&self, password: &[u8]) -> bool {
        let computed = compute(self.cost, self.salt, password);
        memcmp::eq(&computed[..DIGEST_LEN], &self.digest)
    }
}

/// Spends exactly the time that a check against a hash of `cost` takes.
pub fn burn(cost: u32, password: &[u8]) {
    std::hint::black_box(compute(cost, [0; SALT_LEN], password));
}

fn compute(cost: u32, salt: [u8; SALT_LEN], password: &[u8]) -> [u8; 24] {
    let mut key = Zeroizing::new(Vec::with_capacity(password.len() + 1));
    key.extend_from_slice(password);
    key.push(0);
    key.truncate(BCRYPT_READS);
    bcrypt::bcrypt(cost, salt, &key)
}
