//! Wrong passwords by address: who fails again and again has to wait, and who fails at all stands
//! in the other queue.
//!
//! A password that is remembered never comes here from where it was right before, so that the scraper
//! behind the address of a guesser is not locked out with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Digest, Refusal};
use crate::config::ClientNetwork;

/// Addresses remembered; beyond it the one that failed longest ago is forgotten.
const MAX_SOURCES: usize = 4096;

/// Different passwords of one address that may wait for bcrypt at a time.
const MAX_PENDING: u32 = 4;

/// Once an address has to wait between two throttle.
const MAX_PENDING_OF_A_GUESSER: u32 = 1;

/// The first wait after too many failures; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// A scraper whose password was mended comes back within a few scrapes.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// An address that has not failed for this long starts anew.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// For this long after a failure, an address stands in the other queue.
const SUSPECT_FOR: Duration = Duration::from_secs(15 * 60);

/// A scraper that sends yesterday's password again and again is not guessing: of the last few
/// passwords that were wrong, none counts twice.
const REMEMBERED_FAILURES: usize = 8;

#[derive(Debug)]
struct Record {
    /// Different passwords that were wrong.
    failures: u32,
    recent: [Option<Digest>; REMEMBERED_FAILURES],
    pending: u32,
    last_failure: Instant,
}

impl Record {
    fn new(now: Instant) -> Self {
        Self { failures: 0, recent: [None; REMEMBERED_FAILURES], pending: 0, last_failure: now }
    }

    fn forget_old(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_failure) >= FORGOTTEN_AFTER {
            self.failures = 0;
            self.recent = [None; REMEMBERED_FAILURES];
        }
    }

    fn is_suspect(&self, now: Instant) -> bool {
        self.failures > 0 && now.saturating_duration_since(self.last_failure) < SUSPECT_FOR
    }

    fn add_failure(&mut self, password: Digest, now: Instant) {
        self.last_failure = now;
        if !self.recent.contains(&Some(password)) {
            let place = self.failures as usize % REMEMBERED_FAILURES;
            self.recent[place] = Some(password);
            self.failures = self.failures.saturating_add(1);
        }
    }

    fn may_begin(&mut self, max_failures: u32, now: Instant) -> Result<(), Refusal> {
        self.forget_old(now);
        if let Some(wait) = self.wait(max_failures, now) {
            return Err(Refusal::TooManyFailures(wait));
        }
        if self.pending >= self.max_pending(max_failures) {
            return Err(Refusal::Busy);
        }
        Ok(())
    }

    /// Those that wait together would otherwise not wait for each other's failure.
    fn max_pending(&self, max_failures: u32) -> u32 {
        if self.failures >= max_failures { MAX_PENDING_OF_A_GUESSER } else { MAX_PENDING }
    }

    /// How long until the next attempt.
    fn wait(&self, max_failures: u32, now: Instant) -> Option<Duration> {
        let beyond = self.failures.checked_sub(max_failures)?;
        let wait = FIRST_WAIT.saturating_mul(1 << beyond.min(16)).min(LONGEST_WAIT);
        let passed = now.saturating_duration_since(self.last_failure);
        wait.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// What is known of every address that failed lately.
#[derive(Debug, Default)]
pub struct LoginThrottle(Mutex<HashMap<ClientNetwork, Record>>);

/// One password on its way through bcrypt.
#[derive(Debug)]
pub struct LoginAttempt {
    throttle: Arc<LoginThrottle>,
    source: ClientNetwork,
    suspect: bool,
    /// Of what was wrong.
    failed: Option<Digest>,
}

impl LoginThrottle {
    /// Begin an attempt, or learn why not. `max_failures` come without a wait.
    pub fn begin(
        self: &Arc<Self>,
        source: ClientNetwork,
        max_failures: u32,
    ) -> Result<LoginAttempt, Refusal> {
        self.begin_at(source, max_failures, Instant::now())
    }

    /// Whether an attempt might begin.
    pub fn may_begin(&self, source: ClientNetwork, max_failures: u32) -> Result<(), Refusal> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.get_mut(&source) else { return Ok(()) };
        record.may_begin(max_failures, Instant::now())
    }

    fn begin_at(
        self: &Arc<Self>,
        source: ClientNetwork,
        max_failures: u32,
        now: Instant,
    ) -> Result<LoginAttempt, Refusal> {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !records.contains_key(&source) && records.len() >= MAX_SOURCES {
            forget_one(&mut records);
        }
        let record = records.entry(source).or_insert_with(|| Record::new(now));
        record.may_begin(max_failures, now)?;
        record.pending += 1;
        let suspect = record.is_suspect(now);
        Ok(LoginAttempt { throttle: Arc::clone(self), source, suspect, failed: None })
    }

    fn end(&self, source: ClientNetwork, failed: Option<Digest>, now: Instant) {
        let mut records = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(record) = records.get_mut(&source) else { return };
        record.pending = record.pending.saturating_sub(1);
        if let Some(password) = failed {
            record.add_failure(password, now);
        }
        if record.pending == 0 && record.failures == 0 {
            records.remove(&source);
        }
    }
}

/// The one that failed longest ago and waits for nothing. There is one: fewer throttle than
/// sources fit into the queue.
fn forget_one(records: &mut HashMap<ClientNetwork, Record>) {
    let oldest = records
        .iter()
        .filter(|(_, record)| record.pending == 0)
        .min_by_key(|(_, record)| record.last_failure)
        .map(|(source, _)| *source);
    if let Some(oldest) = oldest {
        records.remove(&oldest);
    }
}

impl LoginAttempt {
    /// Whether the address failed lately.
    pub fn is_suspect(&self) -> bool {
        self.suspect
    }

    pub fn failed(&mut self, password: Digest) {
        self.failed = Some(password);
    }
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        self.throttle.end(self.source, self.failed, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> ClientNetwork {
        ClientNetwork::V4([192, 0, 2, last].into())
    }

    fn fail(throttle: &Arc<LoginThrottle>, source: ClientNetwork, password: u8) {
        throttle.begin(source, u32::MAX).expect("room").failed([password; 32]);
    }

    #[test]
    fn waits_double_to_the_longest_and_end() {
        let throttle = Arc::new(LoginThrottle::default());
        let mut waits = Vec::new();
        for failures in 0..10 {
            let wait = match throttle.begin(v4(1), 2) {
                Err(Refusal::TooManyFailures(wait)) => wait.as_secs_f64().ceil() as u64,
                Ok(_) => 0,
                Err(other) => panic!("{other:?}"),
            };
            waits.push((failures, wait));
            fail(&throttle, v4(1), failures);
        }
        let waits: Vec<u64> = waits.into_iter().map(|(_, wait)| wait).collect();
        assert_eq!(waits, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        let suspect = |after| {
            throttle.begin_at(v4(1), 2, Instant::now() + after).map(|attempt| attempt.is_suspect())
        };
        assert_eq!(suspect(LONGEST_WAIT), Ok(true));
        assert_eq!(suspect(SUSPECT_FOR), Ok(false));
        assert!(throttle.begin(v4(1), 2).is_err());
        assert_eq!(suspect(FORGOTTEN_AFTER), Ok(false));
        assert!(throttle.begin(v4(1), 2).is_ok(), "forgotten");
        assert!(throttle.begin(v4(2), 2).is_ok_and(|attempt| !attempt.is_suspect()));
    }

    #[test]
    fn the_same_password_again_is_no_guess() {
        let throttle = Arc::new(LoginThrottle::default());
        for _ in 0..100 {
            fail(&throttle, v4(1), 1);
            fail(&throttle, v4(1), 2);
        }
        assert!(throttle.begin(v4(1), 3).is_ok_and(|attempt| attempt.is_suspect()));
        fail(&throttle, v4(1), 3);
        assert!(throttle.begin(v4(1), 3).is_err());
    }

    #[test]
    fn few_at_a_time() {
        let throttle = Arc::new(LoginThrottle::default());
        let pending: Vec<_> = (0..MAX_PENDING).map(|_| throttle.begin(v4(1), 100)).collect();
        assert!(pending.iter().all(Result::is_ok));
        assert_eq!(throttle.begin(v4(1), 100).err(), Some(Refusal::Busy));
        assert!(throttle.begin(v4(2), 100).is_ok());
        drop(pending);
        assert!(throttle.begin(v4(1), 100).is_ok());
    }

    #[test]
    fn a_guesser_has_one_at_a_time() {
        let throttle = Arc::new(LoginThrottle::default());
        fail(&throttle, v4(1), 1);
        let later = Instant::now() + LONGEST_WAIT;
        let one = throttle.begin_at(v4(1), 1, later);
        assert!(one.is_ok());
        assert_eq!(throttle.begin_at(v4(1), 1, later).err(), Some(Refusal::Busy));
        assert!(throttle.begin_at(v4(1), 2, later).is_ok(), "below the limit");
    }

    #[test]
    fn the_table_is_bounded_and_holds_failures_only() {
        let throttle = Arc::new(LoginThrottle::default());
        drop(throttle.begin(v4(1), 100));
        assert_eq!(throttle.0.lock().unwrap().len(), 0);
        fail(&throttle, v4(1), 1);
        for host in 0..2 * MAX_SOURCES as u32 {
            fail(&throttle, ClientNetwork::V6(u64::from(host)), 1);
        }
        let records = throttle.0.lock().unwrap();
        assert_eq!(records.len(), MAX_SOURCES);
        assert!(!records.contains_key(&v4(1)), "the oldest is forgotten first");
    }
}
