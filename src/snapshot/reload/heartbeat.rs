//! The heartbeat of the reload thread: a guard whose reload thread hangs, as in a read from a file system
//! that does not answer, serves on with a configuration that cannot change any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::observe::Metrics;

/// The longest time between two beats while nothing happens.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// The silence after which the thread counts as stuck. A reload of ten thousand routes on a slow machine
/// takes a few seconds.
const MAX_SILENCE: Duration = Duration::from_secs(60);

/// The time of the last beat.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    start: Instant,
    /// Milliseconds since `start`.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    /// Begins with a beat now.
    pub fn new() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }

    /// Records that the thread runs, here and in the metric.
    pub fn beat(&self, metrics: &Metrics) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
        metrics.reload_thread_runs();
    }

    /// Returns whether the last beat is so long ago that the thread must hang.
    pub fn is_missing(&self) -> bool {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last) > MAX_SILENCE
    }
}
