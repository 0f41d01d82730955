//! The memory that shared answers may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Of all answers that are kept, on their way, or still being given to somebody.
const MOST: usize = 64 * 1024 * 1024;

/// What is taken of it.
#[derive(Debug, Default, Clone)]
pub struct House(Arc<AtomicUsize>);

impl House {
    /// None of it, yet.
    pub fn room(&self) -> Room {
        Room { house: self.clone(), bytes: 0 }
    }
}

/// A part of it, given back when dropped.
#[derive(Debug)]
pub struct Room {
    house: House,
    bytes: usize,
}

impl Room {
    /// Whether there was so much more.
    pub fn take(&mut self, bytes: usize) -> bool {
        let taken = &self.house.0;
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= MOST);
        let is_taken = taken.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if is_taken {
            self.bytes += bytes;
        }
        is_taken
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.house.0.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_there_again() {
        let house = House::default();
        let (mut one, mut two) = (house.room(), house.room());
        assert!(one.take(MOST - 1) && two.take(1));
        assert!(!two.take(1) && !one.take(usize::MAX));
        drop(one);
        assert!(two.take(MOST - 1) && !two.take(1));
    }
}
