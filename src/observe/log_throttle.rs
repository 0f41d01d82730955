//! A limit on log lines of the same kind, so that a flood does not fill the disk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines of one kind that are written before the rate applies, so that a person who tries things
/// out sees each one.
const BURST: u32 = 20;
/// The time after which one more line of a kind is written.
const INTERVAL: Duration = Duration::from_secs(1);

/// Limits log lines by kind. Kinds are few and fixed, so the table is bounded.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<HashMap<&'static str, LineBudget>>);

#[derive(Debug)]
struct LineBudget {
    left: u32,
    refilled: Instant,
    suppressed: u64,
}

impl LogThrottle {
    /// Returns `Some` when a line of this kind may be written now, with the number of lines left
    /// out since the last one; `None` when it is left out.
    pub fn admit(&self, kind: &'static str) -> Option<u64> {
        self.admit_at(kind, Instant::now())
    }

    fn admit_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock();
        let budget =
            kinds.entry(kind).or_insert(LineBudget { left: BURST, refilled: now, suppressed: 0 });
        let elapsed = now.saturating_duration_since(budget.refilled);
        let intervals = u32::try_from(elapsed.as_secs() / INTERVAL.as_secs()).unwrap_or(u32::MAX);
        if intervals > 0 {
            budget.left = budget.left.saturating_add(intervals).min(BURST);
            budget.refilled = now;
        }
        match budget.left.checked_sub(1) {
            Some(left) => {
                budget.left = left;
                Some(std::mem::take(&mut budget.suppressed))
            }
            None => {
                budget.suppressed += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_followed_by_one_line_per_interval_and_the_rest_is_counted() {
        let throttle = LogThrottle::default();
        let start = Instant::now();
        for _ in 0..BURST {
            assert_eq!(throttle.admit_at("a", start), Some(0));
        }
        for _ in 0..5 {
            assert_eq!(throttle.admit_at("a", start), None);
        }
        assert_eq!(throttle.admit_at("b", start), Some(0), "kinds do not share");
        assert_eq!(throttle.admit_at("a", start + INTERVAL), Some(5));
        assert_eq!(throttle.admit_at("a", start + INTERVAL), None);
    }
}
