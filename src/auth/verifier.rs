//! The threads that run bcrypt, so that the IO threads never do.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::oneshot;

/// Jobs that may wait. At cost 10 (about 50 ms) on one core a full queue is answered within
/// 13 s; what comes beyond is told to come back later instead of growing the memory.
const QUEUE_LEN: usize = 256;

/// Half the cores, so that a flood of wrong passwords leaves the other half to scrapes.
fn thread_count() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Below everything else this process does: a login may wait, a scrape may not.
const NICE: libc::c_int = 10;

type Job = Box<dyn FnOnce() + Send>;

/// A bounded queue of bcrypt work in front of a few threads of low priority, which start with the
/// first job: a guard without users has none.
#[derive(Default)]
pub struct Verifier {
    queue: OnceLock<SyncSender<Job>>,
}

/// No room for another job.
#[derive(Debug)]
pub struct Overloaded;

impl Verifier {
    /// Run `task` on a bcrypt thread. A task whose caller is gone by the time its turn comes is
    /// skipped.
    pub async fn run<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Overloaded> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !reply.is_closed() {
                // The caller may leave while the task runs; then nobody wants the answer.
                let _ = reply.send(task());
            }
        });
        self.queue.get_or_init(start).try_send(job).map_err(|_| Overloaded)?;
        answer.await.map_err(|_| Overloaded)
    }
}

/// Should the system refuse a thread, the others do the work; should it refuse all, every login
/// is answered as overloaded.
fn start() -> SyncSender<Job> {
    let (queue, jobs) = sync_channel::<Job>(QUEUE_LEN);
    let jobs = Arc::new(Mutex::new(jobs));
    for index in 0..thread_count() {
        let jobs = Arc::clone(&jobs);
        let thread = std::thread::Builder::new().name(format!("bcrypt-{index}"));
        if let Err(error) = thread.spawn(move || work(&jobs)) {
            tracing::error!(err = %error, "Cannot start a bcrypt thread");
        }
    }
    queue
}

fn work(jobs: &Mutex<Receiver<Job>>) {
    // SAFETY: setpriority takes plain integers; 0 means the calling thread on Linux. A refusal
    // leaves the priority as it was, which is only slower for others.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match job {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}
