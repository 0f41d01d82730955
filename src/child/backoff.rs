//! The delay before the next start of the child. It doubles with each failure, and starts from the
//! shortest again after a run of at least [`MIN_GOOD_RUN`].

use std::time::Duration;

const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// A run of at least this time counts as a success.
const MIN_GOOD_RUN: Duration = Duration::from_secs(30);

/// The delay before the next start.
#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: MIN_DELAY }
    }
}

impl Backoff {
    /// Returns the delay before the next start of a child that ran for `ran_for`.
    pub fn next_delay(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= MIN_GOOD_RUN {
            self.next = MIN_DELAY;
        }
        let delay = self.next;
        self.next = (delay * 2).min(MAX_DELAY);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_up_to_the_longest_and_is_reset_by_a_good_run() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> =
            (0..11).map(|_| backoff.next_delay(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.next_delay(MIN_GOOD_RUN), MIN_DELAY);
        assert_eq!(backoff.next_delay(Duration::ZERO), MIN_DELAY * 2);
    }
}
