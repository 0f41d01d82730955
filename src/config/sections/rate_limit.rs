//! `rate_limit`: a token bucket for the whole server.

use std::time::Duration;

use crate::config::keys::Section;
use crate::config::keys::toolkit::{BURST, INTERVAL};

/// The size and the pace of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// The time in which the bucket gains a token; more than zero.
    pub interval: Duration,
    /// The tokens that the bucket holds.
    pub burst: u64,
}

impl RateLimit {
    /// Reads the section. An interval of zero (or less, as in Go) is no limit.
    pub fn read(section: &Section<'_>) -> Option<Self> {
        let interval = match section.has(&INTERVAL) {
            true => section.get(&INTERVAL),
            false => INTERVAL.value_type().default(),
        };
        let burst = match section.has(&BURST) {
            true => section.get(&BURST),
            false => Some(BURST.value_type().default()),
        };
        // Less than nothing refuses everything, too.
        let (interval, burst) = (interval?, u64::try_from(burst?).unwrap_or(0));
        if interval.is_zero() {
            return None;
        }
        if burst == 0 {
            let name = section.name_of(&BURST);
            let message = "0 with an interval refuses every request; give at least 1";
            section.value().named(&name).warning(message);
        }
        Some(Self { interval, burst })
    }
}
