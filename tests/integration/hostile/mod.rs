//! Networks that mean no good: nobody gets in, nobody gets stuck, nothing grows.

mod canonical;
mod churn;
mod connections;
mod frames;
mod guessing;
mod handshakes;
mod http2_conformance;
mod http2_floods;
mod log_pipe;
mod response_splitting;
mod sandbox;
mod secrets;
mod slow;
mod smuggling;
mod smuggling_rows;

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Tells the attackers to stop, also when the good client panics: their scope would never end.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
