//! The exporter-toolkit's rate limit: one token bucket for the whole server, applied before
//! authentication.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::RateLimit;

/// A bucket of `burst` tokens that starts full and gains one token per `interval`.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    bucket: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    updated: Instant,
}

impl RateLimiter {
    fn new(limit: RateLimit, now: Instant) -> Self {
        let bucket = Bucket { tokens: limit.burst as f64, updated: now };
        Self { limit, bucket: Mutex::new(bucket) }
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

    /// Takes a token.
    ///
    /// # Errors
    ///
    /// Returns the time until the next token is due.
    pub fn take(&self, now: Instant) -> Result<(), Duration> {
        let mut bucket = self.bucket.lock();
        let interval = self.limit.interval.as_secs_f64();
        let gained = now.saturating_duration_since(bucket.updated).as_secs_f64() / interval;
        bucket.tokens = (bucket.tokens + gained).min(self.limit.burst as f64);
        bucket.updated = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) * interval))
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
        assert!(limiter.take(start).is_ok());
        assert!(limiter.take(start).is_ok());
        assert!(limiter.take(start).is_err());
        assert!(limiter.take(start + Duration::from_millis(101)).is_ok());
        assert!(limiter.take(start + Duration::from_millis(110)).is_err());
        let later = start + Duration::from_secs(60);
        assert!(limiter.take(later).is_ok());
        assert!(limiter.take(later).is_ok());
        assert!(limiter.take(later).is_err(), "never more than the burst");
    }

    #[test]
    fn a_burst_of_zero_refuses_everything() {
        let start = Instant::now();
        let limit = RateLimit { interval: Duration::from_nanos(1), burst: 0 };
        let limiter = RateLimiter::new(limit, start);
        assert!(limiter.take(start + Duration::from_secs(1)).is_err());
    }
}
