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
/// The longest wait for `max_in_flight`: a scrape that begins later comes late for its time stamp.
const MAX_QUEUE_TIME: Duration = Duration::from_secs(2);
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
    /// The time that the request may wait until the exporter has fewer requests in flight.
    pub queue: Duration,
}

impl Timeouts {
    /// Returns the timeouts of a request: the configured ones, and without a configured response
    /// timeout the scraper's own, less half a second. None is shorter than one second, but for the
    /// wait in the queue: half of what the scraper waits, and at most two seconds.
    pub fn of(limits: &Limits, request: &RequestHeader) -> Self {
        let stated = request
            .headers
            .get(SCRAPE_TIMEOUT)
            .and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
        let scrape = scrape_timeout(stated);
        let response = limits.response_timeout.unwrap_or_else(|| from_scrape_timeout(scrape));
        let response = response.max(MIN_TIMEOUT);
        let connect = limits.connect_timeout.clamp(MIN_TIMEOUT, response);
        let queue = Duration::from_secs_f64(scrape / 2.0).min(response / 2).min(MAX_QUEUE_TIME);
        Self { connect, response, queue }
    }
}

/// Returns the seconds that the scraper waits.
fn scrape_timeout(stated: Option<f64>) -> f64 {
    stated
        .filter(|seconds| seconds.is_finite() && *seconds > 0.0)
        .unwrap_or(DEFAULT_SCRAPE_TIMEOUT)
        .min(MAX_SCRAPE_TIMEOUT)
}

fn from_scrape_timeout(timeout: f64) -> Duration {
    // A timeout that is hardly longer than the offset is halved instead.
    Duration::from_secs_f64((timeout - SCRAPE_TIMEOUT_OFFSET).max(timeout / 2.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_comes_before_the_scraper_gives_up() {
        let timeout = |stated| from_scrape_timeout(scrape_timeout(stated));
        assert_eq!(timeout(None), Duration::from_millis(9500));
        assert_eq!(timeout(Some(30.0)), Duration::from_millis(29_500));
        assert_eq!(timeout(Some(0.5)), Duration::from_millis(250));
        for nonsense in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert_eq!(timeout(Some(nonsense)), Duration::from_millis(9500));
        }
        assert_eq!(timeout(Some(1e9)), Duration::from_millis(599_500));
    }

    #[test]
    fn a_request_waits_in_the_queue_for_half_of_the_scrape_and_for_two_seconds_at_most() {
        let queue = |limits: &Limits, stated: &str| {
            let mut request = RequestHeader::build("GET", b"/", None).expect("a request");
            request.insert_header(SCRAPE_TIMEOUT, stated).expect("a value");
            Timeouts::of(limits, &request).queue
        };
        let defaults = Limits::default();
        assert_eq!(queue(&defaults, "30"), MAX_QUEUE_TIME);
        assert_eq!(queue(&defaults, "nonsense"), MAX_QUEUE_TIME);
        assert_eq!(queue(&defaults, "0.5"), Duration::from_millis(250));
        let short = Limits { response_timeout: Some(Duration::from_secs(2)), ..defaults };
        assert_eq!(queue(&short, "30"), Duration::from_secs(1));
    }
}
