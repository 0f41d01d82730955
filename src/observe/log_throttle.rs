//! How often the same thing is worth a log line.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Lines of one kind before the rate applies: a person trying things out sees each one.
const BURST: u32 = 20;
/// After that, one line of a kind in this time; a flood must not fill the disk.
const INTERVAL: Duration = Duration::from_secs(1);

/// Counts lines by kind; kinds are few and fixed, so the table is bounded.
#[derive(Debug, Default)]
pub struct LogThrottle(Mutex<HashMap<&'static str, LineBudget>>);

#[derive(Debug)]
struct LineBudget {
    left: u32,
    refilled: Instant,
    suppressed: u64,
}

impl LogThrottle {
    /// Whether to write a line of this kind now, and how many were left out since the last one.
    pub fn admit(&self, kind: &'static str) -> Option<u64> {
        self.admit_at(kind, Instant::now())
    }

    fn admit_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock();
        let state =
            kinds.entry(kind).or_insert(LineBudget { left: BURST, refilled: now, suppressed: 0 });
        let elapsed = now.saturating_duration_since(state.refilled);
        let intervals = u32::try_from(elapsed.as_secs() / INTERVAL.as_secs()).unwrap_or(u32::MAX);
        if intervals > 0 {
            state.left = state.left.saturating_add(intervals).min(BURST);
            state.refilled = now;
        }
        match state.left.checked_sub(1) {
            Some(left) => {
                state.left = left;
                Some(std::mem::take(&mut state.suppressed))
            }
            None => {
                state.suppressed += 1;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_per_interval_with_the_rest_counted() {
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
