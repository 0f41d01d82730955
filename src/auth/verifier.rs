//! The threads that run bcrypt, so that the IO threads never do, and the queue before them.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::known_sources::KnownSources;
use super::login_throttle::{LoginAttempt, LoginThrottle};
use super::{Digest, Origin, Refusal};
use crate::os::priorities::{half_the_cores, lower_priority};

/// LoginThrottle of one lane that may wait. What comes beyond is told to come back later instead of
/// growing the memory.
const LANE_LEN: usize = 256;

/// Connections that may wait for one attempt; a scraper that opens many at once sends the same
/// password on each.
const MAX_WAITING: usize = 1024;

/// Below everything else this process does: a login may wait, a scrape may not.
const NICE: i32 = 10;

type Task = Box<dyn FnOnce() -> bool + Send>;

struct Job {
    key: Digest,
    attempt: LoginAttempt,
    task: Task,
}

/// A few threads of low priority behind a bounded queue. They start with the first attempt: a guard
/// without users has none.
pub struct Verifier {
    queue: Arc<VerifierQueue>,
    throttle: Arc<LoginThrottle>,
    thread_count: usize,
    started: OnceLock<()>,
}

impl Default for Verifier {
    fn default() -> Self {
        Self {
            queue: Arc::default(),
            throttle: Arc::default(),
            // Reads files of the system, which the threads that serve may not.
            thread_count: half_the_cores(),
            started: OnceLock::new(),
        }
    }
}

#[derive(Default)]
struct VerifierQueue {
    lanes: Mutex<Lanes>,
    more: Condvar,
}

#[derive(Default)]
struct Lanes {
    /// Of addresses that have not failed lately: these go first, so that a right password is never
    /// behind wrong ones.
    calm: VecDeque<Job>,
    suspect: VecDeque<Job>,
    /// Who waits for which attempt. Many connections with the same password wait for one.
    waiting: HashMap<Digest, Vec<oneshot::Sender<bool>>>,
}

impl Verifier {
    /// For credentials that need no bcrypt run and are right. Who guesses must not learn so before
    /// it may ask again: a remembered password would be easier to guess than another.
    pub fn admit(&self, origin: Origin, known_sources: &KnownSources) -> Result<(), Refusal> {
        if !known_sources.touch(origin.source) {
            self.throttle.may_begin(origin.source, origin.max_failures)?;
            known_sources.add(origin.source);
        }
        Ok(())
    }

    /// Whether `task` finds the password right. An attempt whose caller is no more by the time its
    /// turn comes is skipped.
    pub async fn verify(
        &self,
        key: Digest,
        origin: Origin,
        task: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool, Refusal> {
        self.started.get_or_init(|| start(&self.queue, self.thread_count));
        let (reply, answer) = oneshot::channel();
        {
            let mut lanes = self.queue.lanes.lock();
            match lanes.waiting.get_mut(&key) {
                Some(waiting) if waiting.len() >= MAX_WAITING => return Err(Refusal::Busy),
                Some(waiting) => waiting.push(reply),
                None => {
                    let attempt = self.throttle.begin(origin.source, origin.max_failures)?;
                    lanes.enqueue(Job { key, attempt, task: Box::new(task) }, reply)?;
                    self.queue.more.notify_one();
                }
            }
        }
        answer.await.map_err(|_| Refusal::Busy)
    }
}

impl Lanes {
    fn enqueue(&mut self, job: Job, reply: oneshot::Sender<bool>) -> Result<(), Refusal> {
        let lane = if job.attempt.is_suspect() { &mut self.suspect } else { &mut self.calm };
        if lane.len() >= LANE_LEN {
            return Err(Refusal::Busy);
        }
        self.waiting.insert(job.key, vec![reply]);
        lane.push_back(job);
        Ok(())
    }

    /// The next job that somebody waits for.
    fn next(&mut self) -> Option<Job> {
        loop {
            let job = self.calm.pop_front().or_else(|| self.suspect.pop_front())?;
            let waiting = self.waiting.get(&job.key);
            if waiting.is_some_and(|waiting| waiting.iter().any(|reply| !reply.is_closed())) {
                return Some(job);
            }
            self.waiting.remove(&job.key);
        }
    }
}

impl VerifierQueue {
    fn next(&self) -> Job {
        let mut lanes = self.lanes.lock();
        loop {
            if let Some(job) = lanes.next() {
                return job;
            }
            self.more.wait(&mut lanes);
        }
    }

    fn answer(&self, key: &Digest, matched: bool) {
        for reply in self.lanes.lock().waiting.remove(key).unwrap_or_default() {
            // The caller may have left; then nobody wants the answer.
            let _ = reply.send(matched);
        }
    }
}

/// Should the system refuse a thread, the others do the work; should it refuse all, every login
/// waits until its client leaves.
fn start(queue: &Arc<VerifierQueue>, thread_count: usize) {
    for index in 0..thread_count {
        let queue = Arc::clone(queue);
        let thread = std::thread::Builder::new().name(format!("bcrypt-{index}"));
        if let Err(error) = thread.spawn(move || work(&queue)) {
            tracing::error!(err = %error, "Cannot start a bcrypt thread");
        }
    }
}

fn work(queue: &VerifierQueue) -> ! {
    lower_priority(NICE);
    loop {
        let Job { key, mut attempt, task } = queue.next();
        // A panic, which bcrypt has none of, must leave nobody waiting.
        let matched = catch_unwind(AssertUnwindSafe(task)).unwrap_or(false);
        if !matched {
            attempt.failed(key);
        }
        // Counted before it is answered: the next attempt of this client must know.
        drop(attempt);
        queue.answer(&key, matched);
    }
}
