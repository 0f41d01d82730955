//! Hot reload: after a change, the files are loaded and validated, and either the snapshot is
//! swapped or the one in force is kept and the reason is logged.
//!
//! Runs on a thread of its own, since it reads files. A reload is triggered by notify's events, by
//! an explicit request (SIGHUP, `POST /-/reload`), and by a content check every 30 seconds, which
//! finds the changes that inotify missed.

mod change;
mod heartbeat;
mod watch;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::load::{LoadError, Loaded};
use super::{Current, Snapshot, downgrade, load};
use crate::config::{ConfigFiles, Finding, Severity, TargetContents, Upstream};
use crate::observe::LogThrottle;
use crate::observe::metrics::Metrics;
pub use change::rfc3339;
use heartbeat::Heartbeat;
use watch::Watcher;

/// The time between two content checks. inotify misses changes on NFS, past its watch limit, and of
/// a file whose directory was replaced (kube-rbac-proxy served a stale CA for days); a hash of a
/// few files costs nothing.
const CONTENT_CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The time without an event after which a change is reloaded, so that a change of several files is
/// one reload.
const SETTLE_TIME: Duration = Duration::from_millis(50);

/// The longest time that a change waits for the events to stop, whatever else happens in the
/// directories.
const MAX_SETTLE_TIME: Duration = Duration::from_millis(500);

/// The time between two reads that must be equal before their content counts.
const SECOND_READ_DELAY: Duration = Duration::from_millis(20);

/// The time between two checks whether a file is still being written.
const WRITER_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The time for which the files may keep changing during a reload before it is postponed.
const STABLE_READ_TIMEOUT: Duration = Duration::from_secs(2);

/// A reload that has put nothing in force.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReloadError {
    /// The files have errors, or would remove a protection.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rejected(Vec<Finding>),
    /// A writer has one of the files open.
    #[error("a file is being written; it is read once its writer has closed it")]
    BeingWritten,
    /// The guard is stopping.
    #[error("the guard is stopping")]
    Stopping,
}

/// A message to the reload thread.
enum Message {
    /// An event of a watched file or directory.
    FileEvent(notify::Result<notify::Event>),
    /// A request for a reload, with the channel for its result.
    Requested(oneshot::Sender<Result<(), ReloadError>>),
    Stop,
}

/// Requests reloads from the reload thread.
#[derive(Clone)]
pub struct ReloadHandle {
    messages: Sender<Message>,
    heartbeat: Heartbeat,
}

impl ReloadHandle {
    /// Reloads now, and waits for the result. Nothing is swapped if the files have not changed
    /// since they were put in force.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the files, or the reason why they are not loaded now.
    pub async fn request(&self) -> Result<(), ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.messages.send(Message::Requested(reply)).map_err(|_| ReloadError::Stopping)?;
        answer.await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// Returns whether the thread has not run for a minute, so that no change comes into force.
    pub fn is_stuck(&self) -> bool {
        self.heartbeat.is_missing()
    }
}

/// The result of the first load that the reload thread starts from.
pub struct Initial {
    /// The web configuration file.
    pub file: PathBuf,
    /// All files that were read, which are watched.
    pub files: ConfigFiles,
    /// The names of the listeners, which a reload does not change.
    pub listeners: Vec<String>,
    /// `--upstream`, where the default route leads.
    pub upstream: Upstream,
}

/// The reload thread, which watches the files until this value is dropped.
pub struct Reloader {
    messages: Sender<Message>,
    heartbeat: Heartbeat,
}

impl Reloader {
    /// Starts the thread. It swaps `current`, and counts reloads in `metrics`.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system when it refuses the thread.
    pub fn start(
        initial: Initial,
        current: Arc<Current>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (messages, inbox) = channel();
        let events = messages.clone();
        let heartbeat = Heartbeat::new();
        let beating = heartbeat.clone();
        std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let watcher = Watcher::new(move |event| {
                // Fails once the reload thread has ended, which happens only when the guard stops.
                let _ = events.send(Message::FileEvent(event));
            });
            let inbox = Inbox { messages: inbox, postponed: VecDeque::new() };
            Worker::new(initial, current, metrics, watcher, beating).run(inbox);
        })?;
        Ok(Self { messages, heartbeat })
    }

    /// Returns a handle that requests reloads from the thread.
    pub fn handle(&self) -> ReloadHandle {
        ReloadHandle { messages: self.messages.clone(), heartbeat: self.heartbeat.clone() }
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        // Fails only if the thread has ended already. The thread is not joined, since it may be
        // reading from a file system that hangs.
        let _ = self.messages.send(Message::Stop);
    }
}

struct Inbox {
    messages: Receiver<Message>,
    /// Messages that arrived during a reload, to be handled after it.
    postponed: VecDeque<Message>,
}

impl Inbox {
    fn next(&mut self, wait: Duration) -> Result<Message, RecvTimeoutError> {
        match self.postponed.pop_front() {
            Some(message) => Ok(message),
            None => self.messages.recv_timeout(wait),
        }
    }

    /// Returns the file events that have arrived, and postpones all other messages.
    fn file_events(&mut self) -> Vec<notify::Result<notify::Event>> {
        let mut events = Vec::new();
        for message in self.messages.try_iter() {
            match message {
                Message::FileEvent(event) => events.push(event),
                other => self.postponed.push_back(other),
            }
        }
        events
    }
}

struct Worker {
    file: PathBuf,
    listeners: Vec<String>,
    upstream: Upstream,
    current: Arc<Current>,
    metrics: Arc<Metrics>,
    heartbeat: Heartbeat,
    watcher: Watcher,
    /// The digest of the content that was last loaded or refused. The same content is not tried
    /// twice, unless a reload is requested.
    last_digest: [u8; 32],
    /// True if that content is in force.
    is_accepted: bool,
    /// True if a reload found the files changing, and is due again soon.
    is_postponed: bool,
    /// Requests can be repeated at will.
    logged: LogThrottle,
}

/// One read of all files.
struct ReadAttempt {
    result: Result<Loaded, LoadError>,
    digest: [u8; 32],
}

impl ReadAttempt {
    fn files(&self) -> &ConfigFiles {
        match &self.result {
            Ok(loaded) => &loaded.files,
            Err(rejected) => &rejected.files,
        }
    }
}

impl Worker {
    fn new(
        initial: Initial,
        current: Arc<Current>,
        metrics: Arc<Metrics>,
        mut watcher: Watcher,
        heartbeat: Heartbeat,
    ) -> Self {
        watcher.follow(&initial.files);
        let last_digest = initial.files.digest();
        let Initial { file, listeners, upstream, .. } = initial;
        Self {
            file,
            listeners,
            upstream,
            current,
            metrics,
            heartbeat,
            watcher,
            last_digest,
            is_accepted: true,
            is_postponed: false,
            logged: LogThrottle::default(),
        }
    }

    fn run(mut self, mut inbox: Inbox) {
        // The file may have changed between the first load and the first watch.
        let mut next_check = Instant::now();
        loop {
            self.heartbeat.beat(&self.metrics);
            let until_check = next_check.saturating_duration_since(Instant::now());
            match inbox.next(until_check.min(heartbeat::INTERVAL)) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Requested(reply)) => {
                    let result = self.reload(&mut inbox, Trigger::Request);
                    // Fails if the request is not waited for any more.
                    let _ = reply.send(result);
                }
                Ok(Message::FileEvent(event)) => {
                    if self.watcher.record(&event) {
                        // The log and the metrics have the result.
                        let _ = self.reload_when_settled(&mut inbox);
                    }
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= next_check => {
                    // The log and the metrics have the result.
                    let _ = self.reload(&mut inbox, Trigger::Change);
                    next_check = Instant::now() + CONTENT_CHECK_INTERVAL;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if std::mem::take(&mut self.is_postponed) {
                next_check = next_check.min(Instant::now() + WRITER_CHECK_INTERVAL);
            }
        }
    }

    /// Waits until there has been no event for a while and no file is being written, and reloads.
    fn reload_when_settled(&mut self, inbox: &mut Inbox) -> Result<(), ReloadError> {
        let first = Instant::now();
        let mut settled = first + SETTLE_TIME;
        loop {
            self.heartbeat.beat(&self.metrics);
            let now = Instant::now();
            let wait = if self.watcher.is_being_written() {
                WRITER_CHECK_INTERVAL
            } else {
                settled.min(first + MAX_SETTLE_TIME).saturating_duration_since(now)
            };
            if wait.is_zero() {
                return self.reload(inbox, Trigger::Change);
            }
            match inbox.next(wait) {
                Ok(Message::FileEvent(event)) => {
                    if self.watcher.record(&event) {
                        settled = Instant::now() + SETTLE_TIME;
                    }
                }
                Ok(Message::Requested(reply)) => {
                    let result = self.reload(inbox, Trigger::Request);
                    // Fails if the request is not waited for any more.
                    let _ = reply.send(result);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    inbox.postponed.push_back(Message::Stop);
                    return Ok(());
                }
            }
        }
    }

    fn reload(&mut self, inbox: &mut Inbox, trigger: Trigger) -> Result<(), ReloadError> {
        let Some(read) = self.read_stable(inbox) else {
            self.is_postponed = true;
            return Err(ReloadError::BeingWritten);
        };
        let is_unchanged = read.digest == self.last_digest;
        if is_unchanged && self.watcher.is_stale() {
            self.watcher.follow(read.files());
        }
        match trigger {
            Trigger::Change if is_unchanged => return Ok(()),
            Trigger::Request if is_unchanged && self.is_accepted => {
                if let Some(suppressed) = self.logged.admit("unchanged") {
                    tracing::info!(suppressed, "Web configuration is unchanged");
                }
                return Ok(());
            }
            Trigger::Change | Trigger::Request => {}
        }
        self.last_digest = read.digest;
        let result = match read.result {
            Ok(loaded) => {
                self.watcher.follow(&loaded.files);
                self.apply(loaded)
            }
            Err(rejected) => {
                self.watcher.follow(&rejected.files);
                Err(rejected.findings)
            }
        };
        self.is_accepted = result.is_ok();
        result.map_err(|findings| self.keep_current(findings))
    }

    /// Reads the files until two reads are equal and no file is being written; `None` if that does
    /// not happen in time.
    fn read_stable(&mut self, inbox: &mut Inbox) -> Option<ReadAttempt> {
        let deadline = Instant::now() + STABLE_READ_TIMEOUT;
        loop {
            self.heartbeat.beat(&self.metrics);
            let first = self.read();
            std::thread::sleep(SECOND_READ_DELAY);
            // Equal reads do not count while the events show that a file is being written.
            for event in inbox.file_events() {
                self.watcher.record(&event);
            }
            let second = self.read();
            if first.digest == second.digest && !self.watcher.is_being_written() {
                return Some(second);
            }
            if Instant::now() > deadline {
                return None;
            }
        }
    }

    fn read(&self) -> ReadAttempt {
        let old = self.current.load();
        let check = |loaded: &Loaded| {
            downgrade::check_protections(&old.config, loaded)?;
            downgrade::check_listeners(&self.listeners, loaded)
        };
        let result = load::load_tolerantly(&self.file, &old.targets, check);
        let digest = match &result {
            Ok(loaded) => loaded.files.digest(),
            Err(rejected) => rejected.files.digest(),
        };
        ReadAttempt { result, digest }
    }

    fn apply(&self, loaded: Loaded) -> Result<(), Vec<Finding>> {
        let old = self.current.load_full();
        log_failed_targets(&loaded);
        for warning in &loaded.warnings {
            tracing::warn!(finding = %warning, "Web configuration");
        }
        let new = Arc::new(Snapshot::build(loaded, &self.upstream, Some(&old))?);
        self.current.store(Arc::clone(&new));
        self.metrics.config_loaded(new.inventory(&self.listeners));
        self.metrics.config_reloaded(new.generation, change::describe(&old, &new));
        change::log(&old, &new);
        Ok(())
    }

    /// Keeps the configuration in force, and logs the reason.
    fn keep_current(&self, findings: Vec<Finding>) -> ReloadError {
        let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
        let reason = errors.map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let error = ReloadError::Rejected(findings);
        let generation = self.current.load().generation;
        self.metrics.config_rejected(generation, reason);
        if let Some(suppressed) = self.logged.admit("failed") {
            tracing::error!(
                generation,
                err = %error,
                suppressed,
                "Reload failed, keeping the last good configuration"
            );
        }
        error
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// A change of the files, or the content check. Content that was loaded or refused before is
    /// not tried again.
    Change,
    /// An explicit request. Content that was refused before is tried again.
    Request,
}

/// Loads and validates the configuration for the start.
///
/// # Errors
///
/// Returns every problem of the files, or what OpenSSL or the HTTP library refuses.
pub fn load_first(
    file: &Path,
    listeners: Vec<String>,
    upstream: &Upstream,
) -> Result<(Snapshot, Initial), Vec<Finding>> {
    let check = |loaded: &Loaded| downgrade::check_listeners(&listeners, loaded);
    let loaded = load::load_tolerantly(file, &TargetContents::new(), check);
    let loaded = loaded.map_err(|rejected| rejected.findings)?;
    log_failed_targets(&loaded);
    for warning in &loaded.warnings {
        tracing::warn!(finding = %warning, "Web configuration");
    }
    let initial = Initial {
        file: file.to_owned(),
        files: loaded.files.clone(),
        listeners,
        upstream: upstream.clone(),
    };
    Ok((Snapshot::build(loaded, upstream, None)?, initial))
}

/// Logs the files of targets that are not used as they are.
fn log_failed_targets(loaded: &Loaded) {
    for (file, reason) in &loaded.failed_targets {
        tracing::error!(
            file = %file.display(),
            err = reason,
            "Not using a file of targets, its last good targets stay"
        );
    }
}
