//! `-- COMMAND`: the exporter as a child of the guard, from its start to its last descendant.
//!
//! The guard is then what a container calls its entrypoint: it reaps every orphan (as PID 1 the
//! kernel gives them to it, elsewhere it asks for them, PR_SET_CHILD_SUBREAPER), passes signals
//! on, and ends as its child ended.

mod backoff;
mod descendants;
mod spawn;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind};
use tokio::task::AbortHandle;

use crate::config::Upstream;
use crate::observe::metrics::Metrics;
use crate::os::exit_codes;
use crate::os::limits::InheritedLimits;
use crate::upstream::Readiness;
use backoff::Backoff;
use spawn::ProcessGroup;

/// A process that SIGKILL does not end sits in the kernel and would hold up the exit for ever.
const KILL_PATIENCE: Duration = Duration::from_secs(1);

/// What a shell's caller gets for a signal (POSIX, "Exit Status for Commands").
const SIGNAL_EXIT_BASE: i32 = 128;

/// What to do when the exporter ends.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// End as it ended
    Never,
    /// Start it again unless its exit code is 0, waiting longer each time
    OnFailure,
}

/// The command line of the child.
#[derive(Debug, Clone)]
pub struct ChildCommand {
    /// The program and its arguments; not empty.
    pub words: Vec<OsString>,
    pub restart: Restart,
    /// What it may use; the guard changed some for itself.
    pub limits: InheritedLimits,
}

enum State {
    /// No command was given, or it was not started yet.
    Absent,
    Running {
        group: ProcessGroup,
        since: Instant,
        probe: AbortHandle,
    },
    /// It has ended; what it started is still to be ended.
    ShutdownReason {
        group: ProcessGroup,
        status: ExitStatus,
        ran_for: Duration,
    },
    /// It failed and is to be started again.
    Waiting {
        until: Instant,
        last: ExitStatus,
    },
    Ended(ExitStatus),
}

/// Starts, watches, restarts and ends the child. Belongs to the main thread: the child is killed
/// when the thread that started it ends (PR_SET_PDEATHSIG).
pub struct Supervisor {
    command: Option<ChildCommand>,
    upstream: Upstream,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    state: State,
    backoff: Backoff,
    child_ended: unix::Signal,
}

impl Supervisor {
    pub fn new(
        command: Option<ChildCommand>,
        upstream: Upstream,
        readiness: Arc<Readiness>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<Self> {
        let child_ended = unix::signal(SignalKind::child())?;
        if command.is_some() {
            descendants::adopt_orphans()?;
        }
        Ok(Self {
            command,
            upstream,
            readiness,
            metrics,
            state: State::Absent,
            backoff: Backoff::default(),
            child_ended,
        })
    }

    /// Start the command, if there is one; otherwise the exit code that says why not.
    pub fn start(&mut self) -> Result<(), u8> {
        let Some(command) = &self.command else {
            return Ok(());
        };
        match ProcessGroup::spawn(&command.words, command.limits) {
            Ok(group) => {
                let program = command.words.first().map(|word| word.display().to_string());
                tracing::info!(program, pid = group.pid().as_raw_nonzero(), "Started the exporter");
                let probe = self.readiness.watch(self.upstream.clone());
                self.state = State::Running { group, since: Instant::now(), probe };
                Ok(())
            }
            Err(error) => {
                let program = command.words.first().map(|word| word.display().to_string());
                tracing::error!(program, err = %error, "Cannot start the exporter");
                Err(spawn::exit_code(&error))
            }
        }
    }

    pub fn has_command(&self) -> bool {
        self.command.is_some()
    }

    /// Pass a signal on to the child and what it started.
    pub fn forward(&self, signal: Signal) {
        if let State::Running { group, .. } = &self.state {
            group.signal(signal);
        }
    }

    /// Reap and restart for as long as there is reason to run; the exit code when there is none.
    /// Loses nothing when dropped between two waits.
    pub async fn run(&mut self) -> u8 {
        loop {
            match &self.state {
                State::Waiting { until, .. } => {
                    let until = *until;
                    tokio::select! {
                        _ = self.child_ended.recv() => self.reap(),
                        () = tokio::time::sleep_until(until.into()) => self.start_again(),
                    }
                }
                State::Absent | State::Running { .. } => {
                    self.child_ended.recv().await;
                    self.reap();
                }
                State::ShutdownReason { .. } => self.end_descendants().await,
                State::Ended(status) => return exit_code(*status),
            }
        }
    }

    /// End the child: `signal` first, SIGKILL at `kill_at` or when `urged` is ready. The exit code.
    pub async fn stop(&mut self, signal: Signal, kill_at: Instant, urged: impl Future) -> u8 {
        if let State::Running { group, .. } = &self.state {
            let group = *group;
            group.signal(signal);
            let impatient = async {
                tokio::select! {
                    () = tokio::time::sleep_until(kill_at.into()) => {}
                    _ = urged => {}
                }
            };
            tokio::select! {
                () = self.until_ended() => {}
                () = impatient => {}
            }
            self.kill().await;
        }
        self.end_descendants().await;
        match &self.state {
            State::Waiting { last, .. } | State::Ended(last) => exit_code(*last),
            State::Running { .. } => exit_code(ExitStatus::from_raw(Signal::KILL.as_raw())),
            State::Absent | State::ShutdownReason { .. } => 0,
        }
    }

    async fn until_ended(&mut self) {
        while matches!(self.state, State::Running { .. }) {
            self.child_ended.recv().await;
            self.reap();
        }
    }

    /// Of a child that is still there.
    async fn kill(&mut self) {
        // It may have ended just now.
        self.reap();
        if let State::Running { group, .. } = &self.state {
            tracing::warn!(
                pid = group.pid().as_raw_nonzero(),
                "The exporter did not end in time, killing it"
            );
            group.signal(Signal::KILL);
            if tokio::time::timeout(KILL_PATIENCE, self.until_ended()).await.is_err() {
                tracing::error!("The exporter cannot be ended");
            }
        }
    }

    /// Reap whatever has ended, and take note if the child has.
    fn reap(&mut self) {
        let child = match &self.state {
            State::Running { group, .. } => Some(group.pid()),
            _ => None,
        };
        for (pid, status) in descendants::reap() {
            if Some(pid) == child {
                self.ended(status);
            }
        }
    }

    fn ended(&mut self, status: ExitStatus) {
        let State::Running { group, since, probe } = &self.state else { return };
        probe.abort();
        self.readiness.set(false);
        if status.success() {
            tracing::info!(pid = group.pid().as_raw_nonzero(), %status, "The exporter ended");
        } else {
            tracing::warn!(pid = group.pid().as_raw_nonzero(), %status, "The exporter ended");
        }
        self.state = State::ShutdownReason { group: *group, status, ran_for: since.elapsed() };
    }

    /// End what the child left behind, and decide what next.
    async fn end_descendants(&mut self) {
        let State::ShutdownReason { group, status, ran_for } = self.state else { return };
        descendants::end_all(group).await;
        let on_failure =
            self.command.as_ref().is_some_and(|command| command.restart == Restart::OnFailure);
        self.state = if on_failure && !status.success() {
            self.wait(status, ran_for)
        } else {
            State::Ended(status)
        };
    }

    fn wait(&mut self, last: ExitStatus, ran_for: Duration) -> State {
        let delay = self.backoff.after(ran_for);
        tracing::warn!(delay = ?delay, "Starting the exporter again after a delay");
        State::Waiting { until: Instant::now() + delay, last }
    }

    fn start_again(&mut self) {
        self.metrics.child_restarted();
        if let Err(code) = self.start() {
            let last = ExitStatus::from_raw(i32::from(code) << 8);
            self.state = self.wait(last, Duration::ZERO);
        }
    }
}

/// The child's own exit code, or 128 and the signal that ended it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(SIGNAL_EXIT_BASE + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_codes::FAILURE)
}
