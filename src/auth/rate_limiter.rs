//! The exporter-toolkit's rate limit: one token bucket for the whole server, applied before
//! authentication, and a bucket for each client network that has authenticated before.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::Mutex;

use crate::config::{ClientNetwork, RateLimit};

/// Known networks with a bucket of their own; of more, the one that asked longest ago begins with a
/// full bucket again. As many as are known at most.
const MAX_NETWORKS: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

/// Buckets of `burst` tokens that start full and gain one token per `interval`: one for all strangers,
/// and one for each known network.
///
/// The toolkit has the first alone, so that strangers can use up the tokens of a scraper.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    strangers: Mutex<Bucket>,
    known: Mutex<LruCache<ClientNetwork, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    updated: Instant,
}

impl RateLimiter {
    fn new(limit: RateLimit, now: Instant) -> Self {
        let strangers = Mutex::new(Bucket::full(&limit, now));
        // Allocates nothing before the first network is known.
        let mut known = LruCache::unbounded();
        known.resize(MAX_NETWORKS);
        Self { limit, strangers, known: Mutex::new(known) }
    }

    /// Returns the limiter of a new configuration; `None` without a limit. An unchanged limit keeps
    /// its bucket, so that a reload does not refill it.
    pub fn carry_over(
        limit: Option<&RateLimit>,
        previous: Option<&Arc<Self>>,
    ) -> Option<Arc<Self>> {
        let limit = limit?;
        match previous {
            Some(previous) if previous.limit == *limit => Some(Arc::clone(previous)),
            _ => Some(Arc::new(Self::new(limit.clone(), Instant::now()))),
        }
    }

    /// Takes a token of this known network, or of the strangers' for `None`.
    ///
    /// # Errors
    ///
    /// Returns the time until the next token is due.
    pub fn take(&self, known: Option<ClientNetwork>, now: Instant) -> Result<(), Duration> {
        let Some(network) = known else {
            return self.strangers.lock().take(&self.limit, now);
        };
        let mut known = self.known.lock();
        let bucket = known.get_or_insert_mut(network, || Bucket::full(&self.limit, now));
        bucket.take(&self.limit, now)
    }
}

impl Bucket {
    fn full(limit: &RateLimit, now: Instant) -> Self {
        Self { tokens: limit.burst as f64, updated: now }
    }

    fn take(&mut self, limit: &RateLimit, now: Instant) -> Result<(), Duration> {
        let interval = limit.interval.as_secs_f64();
        let gained = now.saturating_duration_since(self.updated).as_secs_f64() / interval;
        self.tokens = (self.tokens + gained).min(limit.burst as f64);
        self.updated = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) * interval))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_one_request_per_interval_is_admitted() {
        let start = Instant::now();
        let limit = RateLimit { interval: Duration::from_millis(100), burst: 2 };
        let limiter = RateLimiter::new(limit, start);
        assert!(limiter.take(None, start).is_ok());
        assert!(limiter.take(None, start).is_ok());
        assert!(limiter.take(None, start).is_err());
        assert!(limiter.take(None, start + Duration::from_millis(101)).is_ok());
        assert!(limiter.take(None, start + Duration::from_millis(110)).is_err());
        let later = start + Duration::from_secs(60);
        assert!(limiter.take(None, later).is_ok());
        assert!(limiter.take(None, later).is_ok());
        assert!(limiter.take(None, later).is_err(), "never more than the burst");
    }

    #[test]
    fn a_burst_of_zero_refuses_everything() {
        let start = Instant::now();
        let limit = RateLimit { interval: Duration::from_nanos(1), burst: 0 };
        let limiter = RateLimiter::new(limit, start);
        assert!(limiter.take(None, start + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn strangers_and_known_networks_do_not_take_the_tokens_of_a_known_network() {
        let start = Instant::now();
        let limit = RateLimit { interval: Duration::from_secs(3600), burst: 2 };
        let limiter = RateLimiter::new(limit, start);
        let [scraper, other] = [1, 2].map(|number| Some(ClientNetwork::V6(number)));
        for network in [None, other, scraper] {
            let admitted = (0..5).filter(|_| limiter.take(network, start).is_ok()).count();
            assert_eq!(admitted, 2, "{network:?}");
        }
    }
}
