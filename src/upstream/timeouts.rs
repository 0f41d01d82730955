//! How long an exporter may take.

use std::time::Duration;

use http::HeaderName;
use pingora::http::RequestHeader;

use crate::config::Limits;

/// What Prometheus sends along with a scrape.
pub const SCRAPE_TIMEOUT: HeaderName =
    HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
/// The answer must reach the scraper before it gives up (the offset that blackbox_exporter uses).
const SCRAPE_TIMEOUT_OFFSET: f64 = 0.5;
/// A scraper that states none gets Prometheus's default of 10 s, less the offset.
const DEFAULT_SCRAPE_TIMEOUT: f64 = 10.0;
/// pingora runs shorter timers on a thread of its own that wakes 100 times a second for ever.
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// No scraper waits longer; bounds what a header can ask for.
const LONGEST_SCRAPE_TIMEOUT: f64 = 600.0;

/// How long the exporter may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub(super) connect: Duration,
    pub response: Duration,
}

impl Timeouts {
    /// A configured response timeout counts; otherwise the scraper's own.
    pub fn of(limits: &Limits, request: &RequestHeader) -> Self {
        let response = limits.response_timeout.unwrap_or_else(|| {
            let stated = request
                .headers
                .get(SCRAPE_TIMEOUT)
                .and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
            from_scrape_timeout(stated)
        });
        let response = response.max(SHORTEST_TIMEOUT);
        let connect = limits.connect_timeout.clamp(SHORTEST_TIMEOUT, response);
        Self { connect, response }
    }
}

fn from_scrape_timeout(stated: Option<f64>) -> Duration {
    let timeout = stated
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .unwrap_or(DEFAULT_SCRAPE_TIMEOUT)
        .min(LONGEST_SCRAPE_TIMEOUT);
    // A timeout about as short as the offset keeps half of itself.
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
