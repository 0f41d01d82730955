//! The timeouts of a request to an exporter.

use std::time::Duration;

use http::HeaderName;
use pingora::http::RequestHeader;

use crate::config::Limits;

/// The field in which Prometheus states the timeout of a scrape, in seconds.
pub const SCRAPE_TIMEOUT: HeaderName =
    HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// Seconds that the exporter's timeout is shorter than the scraper's, so that the answer reaches
/// the scraper before it gives up (the offset that blackbox_exporter uses).
const SCRAPE_TIMEOUT_OFFSET: f64 = 0.5;
/// Seconds that a scraper is taken to wait if it does not say so: Prometheus's default.
const DEFAULT_SCRAPE_TIMEOUT: f64 = 10.0;
/// The shortest timeout. pingora runs shorter timers on a thread of its own that wakes 100 times a
/// second for ever.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Seconds that a scraper can state at most; none waits longer.
const MAX_SCRAPE_TIMEOUT: f64 = 600.0;

/// The timeouts of one request to an exporter.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// The time that connecting may take, at most that of the response.
    pub(super) connect: Duration,
    /// The time that the exporter may take to answer. pingora applies it to each read and each
    /// write.
    pub response: Duration,
}

impl Timeouts {
    /// Returns the timeouts of a request: the configured ones, and without a configured response
    /// timeout the scraper's own, less half a second. None is shorter than one second.
    pub fn of(limits: &Limits, request: &RequestHeader) -> Self {
        let response = limits.response_timeout.unwrap_or_else(|| {
            let stated = request
                .headers
                .get(SCRAPE_TIMEOUT)
                .and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
            from_scrape_timeout(stated)
        });
        let response = response.max(MIN_TIMEOUT);
        let connect = limits.connect_timeout.clamp(MIN_TIMEOUT, response);
        Self { connect, response }
    }
}

fn from_scrape_timeout(stated: Option<f64>) -> Duration {
    let timeout = stated
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .unwrap_or(DEFAULT_SCRAPE_TIMEOUT)
        .min(MAX_SCRAPE_TIMEOUT);
    // A timeout that is hardly longer than the offset is halved instead.
    Duration::from_secs_f64((timeout - SCRAPE_TIMEOUT_OFFSET).max(timeout / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_before_the_scraper_gives_up() {
        assert_eq!(from_scrape_timeout(None), Duration::from_millis(9500));
        assert_eq!(from_scrape_timeout(Some(30.0)), Duration::from_millis(29_500));
        assert_eq!(from_scrape_timeout(Some(0.5)), Duration::from_millis(250));
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert_eq!(from_scrape_timeout(Some(nonsense)), Duration::from_millis(9500));
        }
        assert_eq!(from_scrape_timeout(Some(1e9)), Duration::from_millis(599_500));
    }
}
