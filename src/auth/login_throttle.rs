//! The login throttle: a wait for client networks that send wrong credentials.
//!
//! A network that sends wrong credentials again and again has to wait, and one that has sent any is
//! served after those that have not. Cached credentials from a known source skip the throttle, so
//! that a scraper is not locked out by clients behind its address that guess passwords.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use super::{Digest, Refusal};
use crate::config::ClientNetwork;

/// Networks remembered; beyond it the one that failed longest ago is forgotten.
const MAX_NETWORKS: usize = 4096;

/// Attempts of one network, each with other credentials, that may wait for bcrypt at a time.
const MAX_PENDING: u32 = 4;

/// Attempts that may wait for bcrypt at a time from a network beyond its allowed failures.
const MAX_PENDING_WHEN_THROTTLED: u32 = 1;

/// The first wait after too many failures; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait. A scraper whose password was corrected is served again within a few scrapes.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The time after its last failure until the failures of a network are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The time after a failure for which a network is served after the others.
const SUSPECT_FOR: Duration = Duration::from_secs(15 * 60);

/// Wrong credentials remembered per network, none of which counts twice: a scraper that sends
/// yesterday's password again and again is not guessing.
const REMEMBERED_FAILURES: usize = 8;

/// The attempts of one network.
#[derive(Debug)]
struct Record {
    /// The number of different credentials that were wrong.
    failures: u32,
    recent: [Option<Digest>; REMEMBERED_FAILURES],
    /// The attempts that wait for bcrypt.
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

    fn add_failure(&mut self, credential: Digest, now: Instant) {
        self.last_failure = now;
        if !self.recent.contains(&Some(credential)) {
            let oldest = self.failures as usize % REMEMBERED_FAILURES;
            self.recent[oldest] = Some(credential);
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

    /// Returns how many attempts may wait together. Beyond the allowed failures it is one: attempts
    /// that wait together do not wait for each other's failure.
    fn max_pending(&self, max_failures: u32) -> u32 {
        if self.failures >= max_failures { MAX_PENDING_WHEN_THROTTLED } else { MAX_PENDING }
    }

    /// Returns the time until the next attempt; `None`: now.
    fn wait(&self, max_failures: u32, now: Instant) -> Option<Duration> {
        let beyond = self.failures.checked_sub(max_failures)?;
        let wait = FIRST_WAIT.saturating_mul(1 << beyond.min(16)).min(MAX_WAIT);
        let passed = now.saturating_duration_since(self.last_failure);
        wait.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// The networks that have failed lately, at most 4096, in the order of their last failures.
#[derive(Debug)]
pub struct LoginThrottle(Mutex<LruCache<ClientNetwork, Record>>);

impl Default for LoginThrottle {
    fn default() -> Self {
        // Bounded by `begin_at`, which does not forget an attempt that waits.
        Self(Mutex::new(LruCache::unbounded()))
    }
}

/// One attempt on its way through bcrypt. Dropping it ends the attempt.
#[derive(Debug)]
pub struct LoginAttempt {
    throttle: Arc<LoginThrottle>,
    network: ClientNetwork,
    is_suspect: bool,
    /// The digest of the credential that was wrong.
    failed: Option<Digest>,
}

impl LoginThrottle {
    /// Begins an attempt of a network that may fail `max_failures` times without having to wait.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::TooManyFailures`] with the time to wait, or [`Refusal::Busy`] when the
    /// network has attempts enough that wait for bcrypt.
    pub fn begin(
        self: &Arc<Self>,
        network: ClientNetwork,
        max_failures: u32,
    ) -> Result<LoginAttempt, Refusal> {
        self.begin_at(network, max_failures, Instant::now())
    }

    /// Checks whether an attempt might begin, without beginning one.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`Self::begin`].
    pub fn may_begin(&self, network: ClientNetwork, max_failures: u32) -> Result<(), Refusal> {
        let mut records = self.0.lock();
        let Some(record) = records.peek_mut(&network) else { return Ok(()) };
        record.may_begin(max_failures, Instant::now())
    }

    fn begin_at(
        self: &Arc<Self>,
        network: ClientNetwork,
        max_failures: u32,
        now: Instant,
    ) -> Result<LoginAttempt, Refusal> {
        let mut records = self.0.lock();
        if !records.contains(&network) {
            if records.len() >= MAX_NETWORKS {
                forget_one(&mut records);
            }
            records.put(network, Record::new(now));
        }
        // Present: it was put there if it was not.
        let Some(record) = records.peek_mut(&network) else { return Err(Refusal::Busy) };
        record.may_begin(max_failures, now)?;
        record.pending += 1;
        let is_suspect = record.is_suspect(now);
        Ok(LoginAttempt { throttle: Arc::clone(self), network, is_suspect, failed: None })
    }

    fn end(&self, network: ClientNetwork, failed: Option<Digest>, now: Instant) {
        let mut records = self.0.lock();
        let Some(record) = records.peek_mut(&network) else { return };
        record.pending = record.pending.saturating_sub(1);
        if let Some(credential) = failed {
            record.add_failure(credential, now);
        }
        let has_nothing = record.pending == 0 && record.failures == 0;
        if has_nothing {
            records.pop(&network);
        } else if failed.is_some() {
            records.promote(&network);
        }
    }
}

/// Forgets the network that failed longest ago and has no attempt waiting. There is one: the queue
/// holds fewer attempts than the table networks.
fn forget_one(records: &mut LruCache<ClientNetwork, Record>) {
    let oldest = records.iter().rev().find(|(_, record)| record.pending == 0);
    if let Some(oldest) = oldest.map(|(network, _)| *network) {
        records.pop(&oldest);
    }
}

impl LoginAttempt {
    /// Returns whether the network has failed lately.
    pub fn is_suspect(&self) -> bool {
        self.is_suspect
    }

    /// Notes that the credential with this digest was wrong.
    pub fn failed(&mut self, credential: Digest) {
        self.failed = Some(credential);
    }
}

impl Drop for LoginAttempt {
    fn drop(&mut self) {
        self.throttle.end(self.network, self.failed, Instant::now());
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
    fn waits_double_up_to_a_minute_and_end_after_a_day() {
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
        assert_eq!(suspect(MAX_WAIT), Ok(true));
        assert_eq!(suspect(SUSPECT_FOR), Ok(false));
        assert!(throttle.begin(v4(1), 2).is_err());
        assert_eq!(suspect(FORGOTTEN_AFTER), Ok(false));
        assert!(throttle.begin(v4(1), 2).is_ok(), "forgotten");
        assert!(throttle.begin(v4(2), 2).is_ok_and(|attempt| !attempt.is_suspect()));
    }

    #[test]
    fn a_password_that_is_sent_again_counts_once() {
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
    fn a_network_has_four_attempts_at_a_time() {
        let throttle = Arc::new(LoginThrottle::default());
        let pending: Vec<_> = (0..MAX_PENDING).map(|_| throttle.begin(v4(1), 100)).collect();
        assert!(pending.iter().all(Result::is_ok));
        assert_eq!(throttle.begin(v4(1), 100).err(), Some(Refusal::Busy));
        assert!(throttle.begin(v4(2), 100).is_ok());
        drop(pending);
        assert!(throttle.begin(v4(1), 100).is_ok());
    }

    #[test]
    fn a_network_beyond_its_failures_has_one_attempt_at_a_time() {
        let throttle = Arc::new(LoginThrottle::default());
        fail(&throttle, v4(1), 1);
        let later = Instant::now() + MAX_WAIT;
        let one = throttle.begin_at(v4(1), 1, later);
        assert!(one.is_ok());
        assert_eq!(throttle.begin_at(v4(1), 1, later).err(), Some(Refusal::Busy));
        assert!(throttle.begin_at(v4(1), 2, later).is_ok(), "below the limit");
    }

    #[test]
    fn the_table_is_bounded_and_holds_networks_with_failures_alone() {
        let throttle = Arc::new(LoginThrottle::default());
        drop(throttle.begin(v4(1), 100));
        assert_eq!(throttle.0.lock().len(), 0);
        fail(&throttle, v4(1), 1);
        for host in 0..2 * MAX_NETWORKS as u32 {
            fail(&throttle, ClientNetwork::V6(u64::from(host)), 1);
        }
        let records = throttle.0.lock();
        assert_eq!(records.len(), MAX_NETWORKS);
        assert!(!records.contains(&v4(1)), "the oldest is forgotten first");
    }
}
