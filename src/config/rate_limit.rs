//! `rate_limit`: a token bucket for the whole server.

use std::time::Duration;

use super::duration;
use super::findings::Problems;
use super::node::Node;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimit {
    /// The bucket gains a token this often; more than zero.
    pub interval: Duration,
    /// What the bucket holds.
    pub burst: u64,
}

impl RateLimit {
    /// An interval of zero (or less, as in Go) is no limit.
    pub(super) fn validate(node: Option<&Node>, problems: &mut Problems) -> Option<Self> {
        let node = node?;
        let section = node.section("rate_limit", &["interval", "burst"], problems);
        let interval = match section.get("interval") {
            None => Some(Duration::ZERO),
            Some(node) => duration::from_node(node, "rate_limit.interval", problems),
        };
        let burst = match section.get("burst") {
            None => Some(0),
            Some(node) => node.integer("rate_limit.burst", problems),
        };
        // Less than nothing refuses everything, too.
        let (interval, burst) = (interval?, u64::try_from(burst?).unwrap_or(0));
        if interval.is_zero() {
            return None;
        }
        if burst == 0 {
            problems.warning(
                node,
                "rate_limit.burst: 0 with an interval refuses every request; give at least 1",
            );
        }
        Some(Self { interval, burst })
    }
}
