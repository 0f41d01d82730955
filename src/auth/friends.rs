//! The addresses from which credentials were right.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use crate::source::Source;

/// Of one user or token; beyond it the one that was added first is forgotten. Only those who know the
/// password come in, and only one whose address guesses needs to be here.
const MOST: usize = 64;

/// Whoever is among them is asked no more whether its address may make another attempt.
#[derive(Debug, Default)]
pub struct Friends(RwLock<VecDeque<Source>>);

impl Friends {
    pub fn include(&self, source: Source) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&source)
    }

    pub fn add(&self, source: Source) {
        let mut sources = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if sources.contains(&source) {
            return;
        }
        if sources.len() >= MOST {
            sources.pop_front();
        }
        sources.push_back(source);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_and_the_first_is_forgotten_first() {
        let friends = Friends::default();
        let of = |host: usize| Source::V6(host as u64);
        for host in 0..=MOST {
            assert!(!friends.include(of(host)));
            friends.add(of(host));
            friends.add(of(host));
        }
        assert!(!friends.include(of(0)));
        assert!((1..=MOST).all(|host| friends.include(of(host))));
    }
}
