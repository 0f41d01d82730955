//! The threads that run bcrypt, so that the IO threads never do, and the queue in front of them.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::known_sources::KnownSources;
use super::login_throttle::{LoginAttempt, LoginThrottle};
use super::{Digest, Origin, Refusal};
use crate::observe::metrics::VerifierMetrics;
use crate::os::priorities::{half_the_cores, lower_priority};

/// Attempts that may wait in one queue. Further ones are refused as busy, so that the queue does
/// not take up ever more memory.
const MAX_QUEUED: usize = 256;

/// Connections that may wait for one attempt. A scraper that opens many connections at once sends
/// the same password on each.
const MAX_WAITING: usize = 1024;

/// The nice value of the threads (0 to 19), lower in priority than everything else in this process:
/// a login may wait, a scrape may not.
const NICE: i32 = 10;

type Task = Box<dyn FnOnce() -> bool + Send>;

/// One attempt that waits for its bcrypt run.
struct Job {
    /// Equal for attempts with the same credentials.
    key: Digest,
    attempt: LoginAttempt,
    task: Task,
}

/// A few threads of low priority behind a bounded queue. The threads start with the first attempt,
/// so a guard without users has none.
pub struct Verifier {
    queue: Arc<VerifierQueue>,
    throttle: Arc<LoginThrottle>,
    thread_count: usize,
    started: OnceLock<()>,
    metrics: VerifierMetrics,
}

impl Default for Verifier {
    fn default() -> Self {
        Self::new(VerifierMetrics::default())
    }
}

impl Verifier {
    /// Prepares the threads, which count what they do in `metrics`.
    pub fn new(metrics: VerifierMetrics) -> Self {
        let queue = VerifierQueue { metrics: metrics.clone(), ..VerifierQueue::default() };
        Self {
            queue: Arc::new(queue),
            metrics,
            throttle: Arc::default(),
            // Counted here, since it reads system files, which the serving threads may not read.
            thread_count: half_the_cores(),
            started: OnceLock::new(),
        }
    }
}

#[derive(Default)]
struct VerifierQueue {
    jobs: Mutex<PendingJobs>,
    not_empty: Condvar,
    metrics: VerifierMetrics,
}

#[derive(Default)]
struct PendingJobs {
    /// Attempts of client networks that have not failed lately. They are served first, so that a
    /// right password never waits behind wrong ones.
    unsuspected: VecDeque<Job>,
    suspect: VecDeque<Job>,
    /// The connections that wait for each attempt. Many connections with the same password wait for
    /// one attempt.
    waiting: HashMap<Digest, Vec<oneshot::Sender<bool>>>,
}

impl Verifier {
    /// Admits credentials that are right without a bcrypt run.
    ///
    /// A throttled source is refused even with cached credentials; otherwise the cache would be a
    /// faster oracle than bcrypt. Only `known_sources` are exempt.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::TooManyFailures`] or [`Refusal::Busy`] while the source may make no
    /// attempt.
    pub fn admit(&self, origin: Origin, known_sources: &KnownSources) -> Result<(), Refusal> {
        if !known_sources.touch(origin.source) {
            self.throttle.may_begin(origin.source, origin.max_failures)?;
            known_sources.add(origin.source);
        }
        self.metrics.cache_hits.inc();
        Ok(())
    }

    /// Returns the result of `task`, which checks a password. Attempts with the same `key` share
    /// one run, and an attempt whose callers have all left by the time it is due is skipped.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::TooManyFailures`] for a throttled source, or [`Refusal::Busy`] when too
    /// many attempts or connections wait.
    pub async fn verify(
        &self,
        key: Digest,
        origin: Origin,
        task: impl FnOnce() -> bool + Send + 'static,
    ) -> Result<bool, Refusal> {
        self.started.get_or_init(|| start_threads(&self.queue, self.thread_count));
        let (reply, answer) = oneshot::channel();
        {
            let mut jobs = self.queue.jobs.lock();
            match jobs.waiting.get_mut(&key) {
                Some(waiting) if waiting.len() >= MAX_WAITING => return Err(Refusal::Busy),
                Some(waiting) => waiting.push(reply),
                None => {
                    let attempt = self.throttle.begin(origin.source, origin.max_failures)?;
                    jobs.enqueue(Job { key, attempt, task: Box::new(task) }, reply)?;
                    self.queue.measure(&jobs);
                    self.queue.not_empty.notify_one();
                }
            }
        }
        answer.await.map_err(|_| Refusal::Busy)
    }
}

impl PendingJobs {
    fn enqueue(&mut self, job: Job, reply: oneshot::Sender<bool>) -> Result<(), Refusal> {
        let queue =
            if job.attempt.is_suspect() { &mut self.suspect } else { &mut self.unsuspected };
        if queue.len() >= MAX_QUEUED {
            return Err(Refusal::Busy);
        }
        self.waiting.insert(job.key, vec![reply]);
        queue.push_back(job);
        Ok(())
    }

    /// Returns the next job that a connection still waits for.
    fn next(&mut self) -> Option<Job> {
        loop {
            let job = self.unsuspected.pop_front().or_else(|| self.suspect.pop_front())?;
            let waiting = self.waiting.get(&job.key);
            if waiting.is_some_and(|waiting| waiting.iter().any(|reply| !reply.is_closed())) {
                return Some(job);
            }
            self.waiting.remove(&job.key);
        }
    }
}

impl VerifierQueue {
    /// Records how many attempts wait.
    fn measure(&self, jobs: &PendingJobs) {
        let waiting = jobs.unsuspected.len() + jobs.suspect.len();
        self.metrics.queued.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    fn next(&self) -> Job {
        let mut jobs = self.jobs.lock();
        loop {
            let job = jobs.next();
            self.measure(&jobs);
            if let Some(job) = job {
                return job;
            }
            self.not_empty.wait(&mut jobs);
        }
    }

    fn answer(&self, key: &Digest, matched: bool) {
        for reply in self.jobs.lock().waiting.remove(key).unwrap_or_default() {
            // Fails if the caller has left.
            let _ = reply.send(matched);
        }
    }
}

/// Starts the threads. If the system refuses some of them, the others do the work; if it refuses
/// all, every login waits until its client leaves.
fn start_threads(queue: &Arc<VerifierQueue>, thread_count: usize) {
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
        // bcrypt does not panic; if it did, the connections that wait would still get an answer.
        let matched = catch_unwind(AssertUnwindSafe(task)).unwrap_or(false);
        queue.metrics.checks.inc();
        if !matched {
            attempt.failed(key);
        }
        // Ends the attempt before the answer, so that a failure counts in the client's next
        // attempt.
        drop(attempt);
        queue.answer(&key, matched);
    }
}
