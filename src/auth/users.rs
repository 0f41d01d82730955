//! The users of one configuration, and the check of their passwords.

use std::collections::HashMap;
use std::sync::Arc;

use super::credential_cache::{CachedHash, keyed_digest};
use super::verifier::Verifier;
use super::{Credentials, Origin, Refusal, bcrypt_hash};
use crate::config::User;

/// Every user of one snapshot.
#[derive(Default)]
pub struct Users {
    by_name: HashMap<Vec<u8>, Arc<CachedHash>>,
    /// The highest cost of all hashes. Every failure takes the time of a check at this cost.
    highest_cost: u32,
}

impl std::fmt::Debug for Users {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Users({})", self.by_name.len())
    }
}

impl Users {
    /// Builds the users of a configuration. A user whose hash is the same in `previous` keeps its
    /// cached password and its known sources, so that a reload costs no scrape a bcrypt run.
    pub fn new(users: &[User], previous: Option<&Users>) -> Self {
        let by_name: HashMap<_, _> = users
            .iter()
            .map(|user| {
                let name = user.name.clone().into_bytes();
                let unchanged = previous
                    .and_then(|previous| previous.by_name.get(&name))
                    .filter(|entry| entry.text() == user.hash.as_str())
                    .cloned();
                (name, unchanged.unwrap_or_else(|| Arc::new(CachedHash::new(&user.hash))))
            })
            .collect();
        let highest_cost = users.iter().map(|user| user.hash.cost()).max().unwrap_or(0);
        Self { by_name, highest_cost }
    }

    /// Returns whether the configuration has no users.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Returns the number of users.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Checks a password. A cached one costs two digests; any other one costs a bcrypt run, for
    /// which a client network that has sent too many wrong passwords has to wait.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::WrongCredentials`] for an unknown user or a wrong password, or the reason
    /// why the password cannot be checked now.
    pub async fn check(
        &self,
        credentials: Credentials,
        verifier: &Verifier,
        origin: Origin,
    ) -> Result<(), Refusal> {
        let entry = self.by_name.get(credentials.user()).cloned();
        let hash_text = entry.as_ref().map_or("", |entry| entry.text());
        let digest = keyed_digest(credentials.user(), hash_text, credentials.password());
        if let Some(entry) = entry.as_ref().filter(|entry| entry.is_cached(&digest)) {
            return verifier.admit(origin, &entry.known_sources);
        }
        let highest_cost = self.highest_cost;
        let known_sources = entry.clone();
        let task = move || match entry {
            Some(entry) => entry.verify(credentials.password(), digest, highest_cost),
            None => {
                bcrypt_hash::burn(highest_cost, credentials.password());
                false
            }
        };
        let matched = verifier.verify(digest, origin, task).await?;
        match known_sources {
            Some(entry) if matched => {
                entry.known_sources.add(origin.source);
                Ok(())
            }
            _ => Err(Refusal::WrongCredentials),
        }
    }
}
