//! An absolute point in time by which a phase of a connection must be over.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

const DISARMED: u64 = u64::MAX;

/// A deadline that several tasks share. The code that knows the phase arms and disarms it (also
/// from the tasks of HTTP/2 streams); the read side of the socket watches it through a
/// [`DeadlineTimer`].
pub struct Deadline {
    start: Instant,
    due_ms: AtomicU64,
}

impl Deadline {
    /// Creates a deadline that is not armed.
    pub fn new() -> Self {
        Self { start: Instant::now(), due_ms: AtomicU64::new(DISARMED) }
    }

    /// Returns the time when the deadline was created.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// Sets the deadline to `limit` from now, to the millisecond. Bytes that trickle in do not
    /// extend it.
    pub fn arm(&self, limit: Duration) {
        let due = self.start.elapsed().saturating_add(limit);
        // Rounded up, so that the deadline is never early.
        let due_ms = u64::try_from(due.as_millis() + 1).unwrap_or(DISARMED);
        self.due_ms.store(due_ms, Ordering::Relaxed);
    }

    /// Clears the deadline.
    pub fn disarm(&self) {
        self.due_ms.store(DISARMED, Ordering::Relaxed);
    }

    /// Waits until the deadline has passed; for ever when it is not armed. Meanwhile it may be
    /// disarmed, but must not be armed anew: nothing would wake the task.
    pub async fn passed(&self) {
        let mut timer = DeadlineTimer::default();
        std::future::poll_fn(|cx| timer.poll_expired(self, cx)).await;
    }

    /// Returns whether the deadline has passed.
    pub fn is_over(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    fn due(&self) -> Option<Instant> {
        match self.due_ms.load(Ordering::Relaxed) {
            DISARMED => None,
            due_ms => Some(self.start + Duration::from_millis(due_ms)),
        }
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadline").field("due", &self.due()).finish()
    }
}

/// The timer that wakes a task at a deadline. It is created only once a task has to wait.
#[derive(Debug, Default)]
pub struct DeadlineTimer(Option<Pin<Box<Sleep>>>);

impl DeadlineTimer {
    /// Returns ready when the deadline has passed; otherwise wakes the task when it does. A
    /// deadline that is not armed wakes no task.
    pub fn poll_expired(&mut self, deadline: &Deadline, cx: &mut Context<'_>) -> Poll<()> {
        match deadline.due() {
            None => Poll::Pending,
            Some(due) => self.poll_at(due, cx),
        }
    }

    /// Returns ready from `due` on; until then, wakes the task at `due`.
    pub fn poll_at(&mut self, due: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if sleep.deadline() != due {
            sleep.as_mut().reset(due);
        }
        sleep.as_mut().poll(cx)
    }
}
