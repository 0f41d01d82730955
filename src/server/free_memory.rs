//! Gives memory back to the system after clients have made the guard hold much of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::connection::budget::MemoryBudget;
use crate::os::memory;

/// The times from the end of a burst to the requests to give its memory back: its connections may take
/// a second to end.
const DELAYS: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];

/// Tasks for each worker thread, of which idle threads wake to take some.
const TASKS_PER_WORKER: usize = 4;

/// Waits for bursts to end, for as long as the guard serves.
pub async fn watch(budget: Arc<MemoryBudget>) {
    loop {
        budget.released().await;
        for delay in DELAYS {
            tokio::time::sleep(delay).await;
            memory::request_give_back();
            wake_workers();
        }
    }
}

/// Wakes the worker threads, which give memory back before they wait again.
fn wake_workers() {
    let tasks = TASKS_PER_WORKER * Handle::current().metrics().num_workers();
    for _ in 0..tasks {
        tokio::spawn(tokio::task::yield_now());
    }
}
