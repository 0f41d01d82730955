//! The memory that shared answers may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The bytes of all answers that are kept, on their way, or still being sent to somebody.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Counts the bytes that are reserved, up to 64 MiB.
#[derive(Debug, Default, Clone)]
pub struct MemoryBudget(Arc<AtomicUsize>);

impl MemoryBudget {
    /// Begins a reservation of no bytes yet.
    pub fn reserve(&self) -> Reservation {
        Reservation { budget: self.clone(), bytes: 0 }
    }
}

/// A part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: usize,
}

impl Reservation {
    /// Reserves so many bytes more; false when the budget does not have them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let reserved = &self.budget.0;
        let fits = |reserved: usize| reserved.checked_add(bytes).filter(|sum| *sum <= MAX_BYTES);
        let is_reserved = reserved.fetch_update(Relaxed, Relaxed, fits).is_ok();
        if is_reserved {
            self.bytes += bytes;
        }
        is_reserved
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_reservation_can_be_reserved_again() {
        let budget = MemoryBudget::default();
        let (mut one, mut two) = (budget.reserve(), budget.reserve());
        assert!(one.grow(MAX_BYTES - 1) && two.grow(1));
        assert!(!two.grow(1) && !one.grow(usize::MAX));
        drop(one);
        assert!(two.grow(MAX_BYTES - 1) && !two.grow(1));
    }
}
