//! Hot reload: after a change, the files are loaded and validated, and either the snapshot is
//! swapped or the one in force is kept and the reason is logged.
//!
//! Runs on a thread of its own, since it reads files. A reload is triggered by notify's events, by
//! an explicit request (SIGHUP, `POST /-/reload`), and by a content check every 30 seconds, which
//! finds the changes that inotify missed.

mod change;
mod heartbeat;
mod watch;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::oneshot;

use super::load::Loaded;
use super::{Current, Snapshot, downgrade, load};
use crate::config::{ConfigFiles, Finding, TargetContents, Upstream};
use crate::observe::metrics::Metrics;
pub use change::rfc3339;
use heartbeat::Heartbeat;
use watch::Watcher;
use worker::Worker;

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
    log_findings(&loaded);
    let initial = Initial {
        file: file.to_owned(),
        files: loaded.files.clone(),
        listeners,
        upstream: upstream.clone(),
    };
    Ok((Snapshot::build(loaded, upstream, None)?, initial))
}

/// Logs the warnings, and the files of targets that are not used as they are.
fn log_findings(loaded: &Loaded) {
    for (file, reason) in &loaded.failed_targets {
        tracing::error!(
            file = %file.display(),
            err = reason,
            "Not using a file of targets, its last good targets stay"
        );
    }
    for warning in &loaded.warnings {
        tracing::warn!(finding = %warning, "Web configuration");
    }
}
