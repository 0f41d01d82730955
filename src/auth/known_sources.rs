//! The client networks from which a credential was right.

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

use crate::config::ClientNetwork;

/// Networks remembered per user or token. Only clients that know the password get in, and only one
/// whose network also sends wrong passwords needs to be here.
const MAX_SOURCES: NonZeroUsize = NonZeroUsize::new(256).expect("not zero");

/// Sources that have authenticated with this credential; at most 256, least recently seen evicted.
/// They are exempt from the login throttle.
#[derive(Debug)]
pub struct KnownSources(Mutex<LruCache<ClientNetwork, ()>>);

impl Default for KnownSources {
    fn default() -> Self {
        // Allocates nothing before the first source comes.
        let mut sources = LruCache::unbounded();
        sources.resize(MAX_SOURCES);
        Self(Mutex::new(sources))
    }
}

impl KnownSources {
    /// Returns whether the source is known, and marks it as seen.
    pub fn touch(&self, source: ClientNetwork) -> bool {
        self.0.lock().get(&source).is_some()
    }

    /// Remembers a source that has authenticated.
    pub fn add(&self, source: ClientNetwork) {
        self.0.lock().put(source, ());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_that_was_not_seen_for_the_longest_is_forgotten_first() {
        let known = KnownSources::default();
        let max = MAX_SOURCES.get();
        let source = |host: usize| ClientNetwork::V6(host as u64);
        for host in 0..max {
            assert!(!known.touch(source(host)));
            known.add(source(host));
            known.add(source(host));
        }
        assert!(known.touch(source(0)), "seen again");
        known.add(source(max));
        assert!(!known.touch(source(1)));
        assert!((2..=max).chain([0]).all(|host| known.touch(source(host))));
        assert_eq!(known.0.lock().len(), max);
    }
}
