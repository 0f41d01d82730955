//! Hot reload: something changed → load → validate → swap, or keep what is in force and say so.
//!
//! Runs on one thread of its own, since it reads files. Three things make it look: notify's
//! events, an explicit request (SIGHUP, `POST /-/reload`), and a content check every
//! [`CONTENT_CHECK`], which catches what inotify missed.

mod change;
mod watch;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::load::{LoadError, Loaded};
use super::{Current, Snapshot, downgrade, load};
use crate::config::{ConfigFiles, Finding, Upstream};
use crate::observe::metrics::Metrics;
pub use change::rfc3339;
use watch::Watcher;

/// inotify misses changes on NFS, past its watch limit, and on a file whose directory was replaced
/// (kube-rbac-proxy served a stale CA for days); a hash of a few files costs nothing.
const CONTENT_CHECK: Duration = Duration::from_secs(30);

/// After the last event, wait this long for more: a change of several files is one reload.
const SETTLE: Duration = Duration::from_millis(50);

/// Whatever else happens in the directories, a change waits no longer than this.
const MAX_SETTLE: Duration = Duration::from_millis(500);

/// Two reads this far apart must be equal before their content counts.
const SECOND_READ: Duration = Duration::from_millis(20);

/// While a file is being written, look this often whether it still is.
const WRITER_CHECK: Duration = Duration::from_secs(1);

/// How long the files may go on changing under a reload before it is put off.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(2);

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

/// What the reload thread is told.
enum Message {
    /// Something happened to a watched file or directory.
    FileEvent(notify::Result<notify::Event>),
    /// Reload now, changed or not, and answer.
    Requested(oneshot::Sender<Result<(), ReloadError>>),
    Stop,
}

/// Asks for a reload.
#[derive(Clone)]
pub struct ReloadHandle(Sender<Message>);

impl ReloadHandle {
    /// Reload now; the error says what is wrong with the files.
    pub async fn request(&self) -> Result<(), ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Message::Requested(reply)).map_err(|_| ReloadError::Stopping)?;
        answer.await.unwrap_or(Err(ReloadError::Stopping))
    }
}

/// What the thread needs of the first load.
pub struct Initial {
    pub file: PathBuf,
    pub files: ConfigFiles,
    /// The listeners by name; they stay what they are.
    pub listeners: Vec<String>,
    /// `--upstream`, where the default route leads.
    pub upstream: Upstream,
}

/// Watch and reload until the returned value is dropped.
pub struct Reloader {
    messages: Sender<Message>,
}

impl Reloader {
    pub fn start(
        initial: Initial,
        current: Arc<Current>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let (messages, inbox) = channel();
        let events = messages.clone();
        std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let watcher = Watcher::new(move |event| {
                // The thread is gone only when the guard stops.
                let _ = events.send(Message::FileEvent(event));
            });
            let inbox = Inbox { messages: inbox, put_off: VecDeque::new() };
            Worker::new(initial, current, metrics, watcher).run(inbox);
        })?;
        Ok(Self { messages })
    }

    pub fn handle(&self) -> ReloadHandle {
        ReloadHandle(self.messages.clone())
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        // Fails only when the thread has ended already. Not waited for: it may be reading from a
        // file system that hangs.
        let _ = self.messages.send(Message::Stop);
    }
}

struct Inbox {
    messages: Receiver<Message>,
    put_off: VecDeque<Message>,
}

impl Inbox {
    fn next(&mut self, wait: Duration) -> Result<Message, RecvTimeoutError> {
        match self.put_off.pop_front() {
            Some(message) => Ok(message),
            None => self.messages.recv_timeout(wait),
        }
    }

    /// The file events that are there already; anything else keeps for later.
    fn file_events(&mut self) -> Vec<notify::Result<notify::Event>> {
        let mut events = Vec::new();
        for message in self.messages.try_iter() {
            match message {
                Message::FileEvent(event) => events.push(event),
                other => self.put_off.push_back(other),
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
    watcher: Watcher,
    /// Of what was last loaded or refused: the same content is not tried twice.
    seen: [u8; 32],
    /// Whether that is in force.
    accepted: bool,
    /// A reload did not find the files at rest and is due again soon.
    put_off: bool,
}

/// One read of all files.
struct ReadAttempt {
    outcome: Result<Loaded, LoadError>,
    digest: [u8; 32],
}

impl ReadAttempt {
    fn files(&self) -> &ConfigFiles {
        match &self.outcome {
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
    ) -> Self {
        watcher.follow(&initial.files);
        let seen = initial.files.digest();
        let Initial { file, listeners, upstream, .. } = initial;
        Self {
            file,
            listeners,
            upstream,
            current,
            metrics,
            watcher,
            seen,
            accepted: true,
            put_off: false,
        }
    }

    fn run(mut self, mut inbox: Inbox) {
        // The file may have changed between the first load and the first watch.
        let mut next_check = Instant::now();
        loop {
            let wait = next_check.saturating_duration_since(Instant::now());
            match inbox.next(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Requested(reply)) => {
                    let result = self.reload(&mut inbox, Trigger::Request);
                    // The one who asked may not be waiting any more.
                    let _ = reply.send(result);
                }
                Ok(Message::FileEvent(event)) => {
                    if self.watcher.concerns(&event) {
                        // Said in the log and the metrics.
                        let _ = self.after_settling(&mut inbox);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.reload(&mut inbox, Trigger::Change);
                    next_check = Instant::now() + CONTENT_CHECK;
                }
            }
            if std::mem::take(&mut self.put_off) {
                next_check = next_check.min(Instant::now() + WRITER_CHECK);
            }
        }
    }

    /// Wait until the writers are done: no event for a while, and no file still being written.
    fn after_settling(&mut self, inbox: &mut Inbox) -> Result<(), ReloadError> {
        let first = Instant::now();
        let mut settled = first + SETTLE;
        loop {
            let now = Instant::now();
            let wait = if self.watcher.being_written() {
                WRITER_CHECK
            } else {
                settled.min(first + MAX_SETTLE).saturating_duration_since(now)
            };
            if wait.is_zero() {
                return self.reload(inbox, Trigger::Change);
            }
            match inbox.next(wait) {
                Ok(Message::FileEvent(event)) => {
                    if self.watcher.concerns(&event) {
                        settled = Instant::now() + SETTLE;
                    }
                }
                Ok(Message::Requested(reply)) => {
                    let result = self.reload(inbox, Trigger::Request);
                    // The one who asked may not be waiting any more.
                    let _ = reply.send(result);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => {
                    inbox.put_off.push_back(Message::Stop);
                    return Ok(());
                }
            }
        }
    }

    fn reload(&mut self, inbox: &mut Inbox, trigger: Trigger) -> Result<(), ReloadError> {
        let Some(read) = self.read_stable(inbox) else {
            self.put_off = true;
            return Err(ReloadError::BeingWritten);
        };
        let unchanged = read.digest == self.seen;
        if unchanged && self.watcher.is_stale() {
            self.watcher.follow(read.files());
        }
        match trigger {
            Trigger::Change if unchanged => return Ok(()),
            Trigger::Request if unchanged && self.accepted => {
                tracing::info!("Web configuration is unchanged");
                return Ok(());
            }
            Trigger::Change | Trigger::Request => {}
        }
        self.seen = read.digest;
        let result = match read.outcome {
            Ok(loaded) => {
                self.watcher.follow(&loaded.files);
                self.apply(loaded)
            }
            Err(rejected) => {
                self.watcher.follow(&rejected.files);
                Err(rejected.findings)
            }
        };
        self.accepted = result.is_ok();
        result.map_err(|findings| self.keep(findings))
    }

    /// Read until two reads are equal with no writer in sight; `None` when that does not come.
    fn read_stable(&mut self, inbox: &mut Inbox) -> Option<ReadAttempt> {
        let give_up = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let first = self.read();
            std::thread::sleep(SECOND_READ);
            // What the events say of a writer counts before what was read.
            for event in inbox.file_events() {
                self.watcher.concerns(&event);
            }
            let second = self.read();
            if first.digest == second.digest && !self.watcher.being_written() {
                return Some(second);
            }
            if Instant::now() > give_up {
                return None;
            }
        }
    }

    fn read(&self) -> ReadAttempt {
        let outcome = load::load(&self.file);
        let digest = match &outcome {
            Ok(loaded) => loaded.files.digest(),
            Err(rejected) => rejected.files.digest(),
        };
        ReadAttempt { outcome, digest }
    }

    fn apply(&self, loaded: Loaded) -> Result<(), Vec<Finding>> {
        let old = self.current.load_full();
        downgrade::keeps_protection(&old.config, &loaded)?;
        downgrade::knows_listeners(&self.listeners, &loaded)?;
        for warning in &loaded.warnings {
            tracing::warn!(finding = %warning, "Web configuration");
        }
        let new = Arc::new(Snapshot::build(loaded, &self.upstream, Some(&old))?);
        self.current.store(Arc::clone(&new));
        self.metrics.config_reloaded();
        self.metrics
            .config_loaded(new.generation, new.certificate_expiry().map(|e| e.unix_seconds));
        change::log(&old, &new);
        Ok(())
    }

    /// Keeps the configuration in force, and says why.
    fn keep(&self, findings: Vec<Finding>) -> ReloadError {
        let error = ReloadError::Rejected(findings);
        self.metrics.config_rejected();
        tracing::error!(
            generation = self.current.load().generation,
            err = %error,
            "Reload failed, keeping the last good configuration"
        );
        error
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trigger {
    /// Nothing to do when the content is the same.
    Change,
    Request,
}

/// Load and validate for the start, where a broken file is fatal.
pub fn load_first(
    file: &Path,
    listeners: Vec<String>,
    upstream: &Upstream,
) -> Result<(Snapshot, Initial), Vec<Finding>> {
    let loaded = load::load(file).map_err(|rejected| rejected.findings)?;
    downgrade::knows_listeners(&listeners, &loaded)?;
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
