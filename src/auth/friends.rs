//! The addresses from which credentials were right.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{PoisonError, RwLock};

use crate::source::Source;

/// Of one user or token; beyond it the one that has not come for the longest is forgotten. Only those who
/// know the password come in, and only one whose address guesses needs to be here.
const MOST: usize = 256;

/// Whoever is among them is asked no more whether its address may make another attempt.
#[derive(Debug, Default)]
pub struct Friends {
    known: RwLock<Vec<Friend>>,
    /// Counts visits.
    clock: AtomicU64,
}

#[derive(Debug)]
struct Friend {
    source: Source,
    last_visit: AtomicU64,
}

impl Friends {
    /// Whether it is among them; a visit.
    pub fn include(&self, source: Source) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Some(friend) = known.iter().find(|friend| friend.source == source) else {
            return false;
        };
        friend.last_visit.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        true
    }

    pub fn add(&self, source: Source) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.iter().any(|friend| friend.source == source) {
            return;
        }
        let friend = Friend { source, last_visit: self.clock.fetch_add(1, Relaxed).into() };
        if known.len() < MOST {
            known.push(friend);
        } else if let Some(oldest) =
            known.iter_mut().min_by_key(|friend| friend.last_visit.load(Relaxed))
        {
            *oldest = friend;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_and_who_stays_away_is_forgotten() {
        let friends = Friends::default();
        let of = |host: usize| Source::V6(host as u64);
        for host in 0..MOST {
            assert!(!friends.include(of(host)));
            friends.add(of(host));
            friends.add(of(host));
        }
        assert!(friends.include(of(0)), "it comes again and again");
        friends.add(of(MOST));
        assert!(!friends.include(of(1)));
        assert!((2..=MOST).chain([0]).all(|host| friends.include(of(host))));
        assert_eq!(friends.known.read().unwrap().len(), MOST);
    }
}
