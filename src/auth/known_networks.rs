//! The client networks from which somebody has authenticated lately.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use super::{Requester, has_share};
use crate::config::ClientNetwork;

/// Networks remembered, in less than 500 KB.
const MAX_NETWORKS: usize = 4096;

/// The time for which a network is remembered after its last request with right credentials: a scraper that is
/// down for a night is still known.
const REMEMBERED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The client networks from which credentials, or a verified client certificate, were right within a
/// day; at most 4096.
///
/// A caller that comes from ever more networks does not displace those of others: beyond its share
/// (see [`has_share`]) no further network of it is remembered.
#[derive(Debug, Default)]
pub struct KnownNetworks {
    known: Mutex<Known>,
    /// Makes the keys of callers, whose names need not be kept.
    hasher: RandomState,
}

#[derive(Debug)]
struct Known {
    networks: LruCache<ClientNetwork, Entry>,
    /// The number of networks that each caller has brought.
    counts: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Entry {
    /// The caller that was the first from this network.
    caller: u64,
    seen: Instant,
}

impl Default for Known {
    fn default() -> Self {
        // Bounded by `add`, which decides whose network is forgotten.
        Self { networks: LruCache::unbounded(), counts: HashMap::new() }
    }
}

impl KnownNetworks {
    /// Remembers that a caller from this network has authenticated. A [`Requester::Network`] has shown
    /// nothing and is not remembered.
    pub fn add(&self, network: ClientNetwork, caller: &Requester) {
        if !matches!(caller, Requester::Network(_)) {
            self.known.lock().add(network, self.hasher.hash_one(caller), Instant::now());
        }
    }

    /// Returns whether somebody has authenticated from this network lately.
    pub fn contains(&self, network: ClientNetwork) -> bool {
        self.known.lock().contains(network, Instant::now())
    }

    /// Returns whether nobody has authenticated yet.
    pub fn is_empty(&self) -> bool {
        self.known.lock().networks.is_empty()
    }
}

impl Known {
    fn contains(&self, network: ClientNetwork, now: Instant) -> bool {
        self.networks.peek(&network).is_some_and(|entry| !entry.has_ended(now))
    }

    fn add(&mut self, network: ClientNetwork, caller: u64, now: Instant) {
        if let Some(entry) = self.networks.get_mut(&network) {
            entry.seen = now;
            return;
        }
        while self.networks.peek_lru().is_some_and(|(_, entry)| entry.has_ended(now)) {
            self.forget_oldest();
        }
        let own = self.counts.get(&caller).copied().unwrap_or_default();
        if !has_share(own, MAX_NETWORKS - self.networks.len()) {
            if own > 0 {
                return;
            }
            self.forget_oldest();
        }
        *self.counts.entry(caller).or_default() += 1;
        self.networks.put(network, Entry { caller, seen: now });
    }

    fn forget_oldest(&mut self) {
        let Some((_, Entry { caller, .. })) = self.networks.pop_lru() else { return };
        let Some(count) = self.counts.get_mut(&caller) else { return };
        *count -= 1;
        if *count == 0 {
            self.counts.remove(&caller);
        }
    }
}

impl Entry {
    fn has_ended(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.seen) >= REMEMBERED_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Identity;

    fn network(number: usize) -> ClientNetwork {
        ClientNetwork::V6(number as u64)
    }

    #[test]
    fn a_network_is_known_for_a_day_after_its_last_login() {
        let mut known = Known::default();
        let start = Instant::now();
        assert!(!known.contains(network(1), start));
        known.add(network(1), 1, start);
        let half = start + REMEMBERED_FOR / 2;
        known.add(network(1), 1, half);
        assert!(known.contains(network(1), start + REMEMBERED_FOR));
        assert!(!known.contains(network(1), half + REMEMBERED_FOR));
        known.add(network(2), 2, half + REMEMBERED_FOR);
        assert_eq!((known.networks.len(), known.counts.len()), (1, 1), "the other is forgotten");
    }

    #[test]
    fn a_caller_with_many_networks_displaces_nobody() {
        let mut known = Known::default();
        let now = Instant::now();
        known.add(network(0), 1, now);
        for number in 1..=2 * MAX_NETWORKS {
            known.add(network(number), 2, now);
        }
        assert!(known.contains(network(0), now));
        assert!(known.networks.len() < MAX_NETWORKS, "there is room for others");
        for caller in 3..=2 * MAX_NETWORKS {
            known.add(network(10 * MAX_NETWORKS + caller), caller as u64, now);
        }
        assert_eq!(known.networks.len(), MAX_NETWORKS);
        assert_eq!(known.counts.values().sum::<usize>(), MAX_NETWORKS);
    }

    #[test]
    fn who_has_shown_nothing_is_not_remembered() {
        let known = KnownNetworks::default();
        known.add(network(1), &Requester::Network(network(1)));
        assert!(known.is_empty() && !known.contains(network(1)));
        known.add(network(1), &Requester::Identity(Identity::User(b"a".to_vec())));
        known.add(network(2), &Requester::Certificate("a.example".to_owned()));
        assert!(known.contains(network(1)) && known.contains(network(2)));
    }
}
