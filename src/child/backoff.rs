//! How long to wait before the next start: twice as long each time, from the beginning again once
//! the child has run for a while.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);
/// Having run this long, the child counts as having worked.
const WORKED: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST }
    }
}

impl Backoff {
    /// The delay before the next start of a child that ran for `ran_for`.
    pub fn after(&mut self, ran_for: Duration) -> Duration {
        if ran_for >= WORKED {
            self.next = FIRST;
        }
        let delay = self.next;
        self.next = (delay * 2).min(LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_to_the_longest_and_begins_anew_after_a_good_run() {
        let mut backoff = Backoff::default();
        let delays: Vec<u128> =
            (0..11).map(|_| backoff.after(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        assert_eq!(backoff.after(WORKED), FIRST);
        assert_eq!(backoff.after(Duration::ZERO), FIRST * 2);
    }
}
