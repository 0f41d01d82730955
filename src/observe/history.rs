//! The rate and the latency of requests over the last hour, for the plot of the status page.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The minutes that are kept.
pub const MINUTES: usize = 60;

const SECONDS_PER_MINUTE: u64 = 60;

/// The requests of one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Minute {
    /// The requests that were answered.
    pub requests: u64,
    /// The requests among them that were answered with a status of 500 or above.
    pub errors: u64,
    /// The sum of their durations.
    pub total: Duration,
    /// The longest of their durations.
    pub longest: Duration,
}

impl Minute {
    /// Returns the mean duration; zero without requests.
    pub fn mean(&self) -> Duration {
        u32::try_from(self.requests)
            .ok()
            .and_then(|requests| self.total.checked_div(requests))
            .unwrap_or_default()
    }
}

/// The last hour, minute by minute; its memory is bounded.
#[derive(Debug)]
pub struct History {
    began: Instant,
    /// The number of the newest minute since the beginning, and the minutes up to it.
    minutes: Mutex<(u64, VecDeque<Minute>)>,
}

impl Default for History {
    fn default() -> Self {
        let minutes = VecDeque::from([Minute::default()]);
        Self { began: Instant::now(), minutes: Mutex::new((0, minutes)) }
    }
}

impl History {
    /// Records an answered request.
    pub fn record(&self, duration: Duration, is_error: bool) {
        self.record_at(duration, is_error, self.began.elapsed());
    }

    fn record_at(&self, duration: Duration, is_error: bool, elapsed: Duration) {
        let mut state = self.minutes.lock();
        advance(&mut state, elapsed);
        if let Some(minute) = state.1.back_mut() {
            minute.requests += 1;
            minute.errors += u64::from(is_error);
            minute.total += duration;
            minute.longest = minute.longest.max(duration);
        }
    }

    /// Returns the minutes since the start, at most [`MINUTES`], the current one last.
    pub fn minutes(&self) -> Vec<Minute> {
        self.minutes_at(self.began.elapsed())
    }

    fn minutes_at(&self, elapsed: Duration) -> Vec<Minute> {
        let mut state = self.minutes.lock();
        advance(&mut state, elapsed);
        state.1.iter().copied().collect()
    }
}

/// Adds the minutes that have begun since the newest one.
fn advance((newest, minutes): &mut (u64, VecDeque<Minute>), elapsed: Duration) {
    let current = elapsed.as_secs() / SECONDS_PER_MINUTE;
    let passed = current.saturating_sub(*newest);
    for _ in 0..passed.min(MINUTES as u64) {
        minutes.push_back(Minute::default());
    }
    while minutes.len() > MINUTES {
        minutes.pop_front();
    }
    *newest = current.max(*newest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept_minute_by_minute() {
        let history = History::default();
        let minute = |number: u64| Duration::from_secs(number * SECONDS_PER_MINUTE);
        let ms = Duration::from_millis;
        history.record_at(ms(10), false, minute(0));
        history.record_at(ms(30), true, minute(0));
        history.record_at(ms(5), false, minute(2));
        let minutes = history.minutes_at(minute(2));
        assert_eq!(minutes.len(), 3);
        assert_eq!((minutes[0].requests, minutes[0].errors), (2, 1));
        assert_eq!((minutes[0].mean(), minutes[0].longest), (ms(20), ms(30)));
        assert_eq!(minutes[1], Minute::default());
        assert_eq!(minutes[1].mean(), Duration::ZERO);
        assert_eq!(minutes[2].requests, 1);
        let later = history.minutes_at(minute(61));
        assert_eq!(later.len(), MINUTES);
        assert_eq!(later[0].requests, 1, "the third minute is the first of the hour");
        assert!(history.minutes_at(minute(10_000_000)).iter().all(|m| *m == Minute::default()));
    }
}
