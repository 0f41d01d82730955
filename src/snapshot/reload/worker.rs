//! The reload thread: waits for a change or a request, reads the files until they are stable, and swaps
//! the snapshot or keeps the one in force.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::heartbeat::{self, Heartbeat};
use super::watch::Watcher;
use super::{Initial, Message, ReloadError, change, log_findings};
use crate::config::{self, ConfigFiles, Finding, Severity, TargetContents, Upstream};
use crate::observe::LogThrottle;
use crate::observe::metrics::Metrics;
use crate::snapshot::load::{self, LoadError, Loaded};
use crate::snapshot::{Current, Snapshot, downgrade};

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

/// The messages to the thread.
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

/// The state of the thread.
pub struct Worker {
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
    /// Begins with the files of the first load.
    pub fn new(
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

    /// Serves messages until one asks to stop.
    pub fn run(mut self, messages: Receiver<Message>) {
        let mut inbox = Inbox { messages, postponed: VecDeque::new() };
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
            let no_targets = TargetContents::new;
            let first = config::read(&self.file, no_targets(), no_targets()).files.digest();
            std::thread::sleep(SECOND_READ_DELAY);
            // Equal reads do not count while the events show that a file is being written.
            for event in inbox.file_events() {
                self.watcher.record(&event);
            }
            let second = self.read();
            if first == second.digest && !self.watcher.is_being_written() {
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
        log_findings(&loaded);
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
