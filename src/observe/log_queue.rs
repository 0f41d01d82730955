//! The queue between the threads that log and standard error.
//!
//! A pipe that nobody reads blocks whoever writes to it. So one thread alone writes, and the others
//! leave their lines in a queue of 1 MiB; lines that do not fit are dropped, counted in a metric and
//! reported in a line once there is space again.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use prometheus_client::metrics::counter::Counter;

/// The bytes of all lines that wait to be written: some seconds of a guard that logs every request.
const MAX_BYTES: usize = 1024 * 1024;

/// The bytes from which a batch of lines is written, even if more of them wait.
const BATCH_BYTES: usize = 64 * 1024;

/// The shortest time between two batches. A line that comes alone is written at once; of many, a
/// batch costs one system call and wakes the thread once, which is most of what a line costs.
const BATCH_INTERVAL: Duration = Duration::from_millis(10);

/// The lines that wait, and what became of those that did not fit.
#[derive(Default)]
struct LogQueue {
    lines: Mutex<Lines>,
    changed: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct Lines {
    waiting: VecDeque<String>,
    bytes: usize,
    /// True if the writer has lines that it has not written yet.
    is_writing: bool,
    /// True if the writer waits for a line, and has to be woken.
    is_idle: bool,
    /// True if there is a writer; before there is, lines are written at once.
    has_writer: bool,
    /// Lines dropped since the last report.
    unreported: u64,
}

static QUEUE: LazyLock<LogQueue> = LazyLock::new(LogQueue::default);

/// Returns the counter of the lines that were dropped.
pub fn dropped_lines() -> Counter {
    QUEUE.dropped.clone()
}

/// Writes a line to standard error, by way of the queue once its writer has started.
pub fn write(line: String) {
    if let Some(line) = QUEUE.push(line) {
        // Without standard error there is nowhere to say so.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Starts the thread that writes. Lines before that are written by the threads that log them.
///
/// # Errors
///
/// Returns the error of the operating system when it refuses the thread.
pub fn start_writer() -> io::Result<()> {
    thread::Builder::new().name("log".to_owned()).spawn(|| QUEUE.write_for_ever())?;
    QUEUE.lines.lock().has_writer = true;
    Ok(())
}

/// Waits until every line is written, up to `limit`.
pub fn flush(limit: Duration) {
    let end = Instant::now() + limit;
    let mut lines = QUEUE.lines.lock();
    while lines.has_writer && (lines.is_writing || !lines.waiting.is_empty()) {
        if QUEUE.changed.wait_until(&mut lines, end).timed_out() {
            return;
        }
    }
}

impl LogQueue {
    /// Queues a line, or drops it when the queue is full; returns it when there is no writer.
    fn push(&self, line: String) -> Option<String> {
        let mut lines = self.lines.lock();
        if !lines.has_writer {
            return Some(line);
        }
        if lines.bytes + line.len() > MAX_BYTES {
            lines.unreported += 1;
            self.dropped.inc();
            return None;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line);
        if std::mem::take(&mut lines.is_idle) {
            self.changed.notify_all();
        }
        None
    }

    fn write_for_ever(&self) -> ! {
        let mut batch = String::with_capacity(BATCH_BYTES);
        loop {
            batch.clear();
            self.next(&mut batch);
            let _ = io::stderr().write_all(batch.as_bytes());
            let mut lines = self.lines.lock();
            lines.is_writing = false;
            let has_space = lines.bytes <= MAX_BYTES / 2;
            let unreported = if has_space { std::mem::take(&mut lines.unreported) } else { 0 };
            self.changed.notify_all();
            drop(lines);
            if unreported > 0 {
                tracing::warn!(
                    lines = unreported,
                    "Dropped log lines, since standard error was not read fast enough"
                );
            }
            thread::sleep(BATCH_INTERVAL);
        }
    }

    /// Waits for a line, and takes it and those after it.
    fn next(&self, batch: &mut String) {
        let mut lines = self.lines.lock();
        while lines.waiting.is_empty() {
            lines.is_idle = true;
            self.changed.wait(&mut lines);
        }
        lines.is_idle = false;
        lines.is_writing = true;
        while batch.len() < BATCH_BYTES
            && let Some(line) = lines.waiting.pop_front()
        {
            lines.bytes -= line.len();
            batch.push_str(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_wait_up_to_a_mebibyte_and_are_dropped_and_counted_beyond() {
        let queue = LogQueue::default();
        assert_eq!(queue.push("early\n".to_owned()).as_deref(), Some("early\n"));
        queue.lines.lock().has_writer = true;
        let line = "x".repeat(1024);
        for _ in 0..MAX_BYTES / 1024 {
            assert_eq!(queue.push(line.clone()), None);
        }
        assert_eq!(queue.dropped.get(), 0);
        assert_eq!(queue.push(line.clone()), None);
        assert_eq!(queue.dropped.get(), 1);
        let mut batch = String::new();
        queue.next(&mut batch);
        assert_eq!(batch, line.repeat(BATCH_BYTES / 1024));
        assert_eq!(queue.push(line), None);
        assert_eq!(queue.dropped.get(), 1, "there is space again");
    }
}
