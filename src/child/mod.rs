//! `-- COMMAND`: runs the exporter as a child of the guard, from its start to the end of its last
//! descendant.
//!
//! The guard is then fit to be the entrypoint of a container. It reaps every orphan: as PID 1 it
//! gets them from the kernel, and otherwise it asks for them (PR_SET_CHILD_SUBREAPER). It forwards
//! signals, and exits with the exit code of its child.

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

/// The time that the exporter may take to end after SIGKILL: one in an uninterruptible system call would
/// delay the exit for ever.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);

/// Added to the number of the signal that ended the child, as shells do (POSIX, "Exit Status for
/// Commands").
const SIGNAL_EXIT_BASE: i32 = 128;

/// The reaction to the end of the exporter (`--child.restart`).
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Exit with the exit code of the exporter
    Never,
    /// Restart the exporter unless its exit code is 0, after 100 ms at first and up to 30 s
    OnFailure,
}

/// The command line of the child.
#[derive(Debug, Clone)]
pub struct ChildCommand {
    /// The program and its arguments; not empty.
    pub words: Vec<OsString>,
    /// The reaction to its end.
    pub restart: Restart,
    /// The resource limits of the child: those that the guard had before it changed some for
    /// itself.
    pub limits: InheritedLimits,
}

enum State {
    /// There is no command, or it has not been started yet.
    Absent,
    Running {
        group: ProcessGroup,
        since: Instant,
        probe: AbortHandle,
    },
    /// The child has ended; the processes that it started are yet to be killed.
    Exited {
        group: ProcessGroup,
        status: ExitStatus,
        ran_for: Duration,
    },
    /// The child has failed, and is restarted after a delay.
    Waiting {
        until: Instant,
        last_status: ExitStatus,
    },
    /// The child and its descendants have ended, and it is not restarted.
    Done(ExitStatus),
}

/// Starts, watches, restarts and stops the child.
///
/// It belongs to the main thread, since the child is killed when the thread that started it ends
/// (PR_SET_PDEATHSIG).
pub struct Supervisor {
    command: Option<ChildCommand>,
    upstream: Upstream,
    readiness: Arc<Readiness>,
    metrics: Arc<Metrics>,
    state: State,
    backoff: Backoff,
    /// SIGCHLD.
    child_ended: unix::Signal,
}

impl Supervisor {
    /// Prepares to run `command`, whose exporter listens at `upstream`; adopts orphans if there is
    /// a command.
    ///
    /// # Errors
    ///
    /// Returns the error of sigaction(2) or prctl(2).
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

    /// Starts the command, if there is one.
    ///
    /// # Errors
    ///
    /// Returns the exit code of the guard for a command that cannot be started.
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
                tracing::error!(program, err = %error, "Failed to start the exporter");
                Err(spawn::exit_code(&error))
            }
        }
    }

    /// Returns whether the guard runs the exporter.
    pub fn has_command(&self) -> bool {
        self.command.is_some()
    }

    /// Sends a signal to the child and to the processes that it started.
    pub fn forward(&self, signal: Signal) {
        if let State::Running { group, .. } = &self.state {
            group.signal(signal);
        }
    }

    /// Reaps and restarts the child until it has ended for good, and returns the exit code. Without
    /// a command, it does not return.
    ///
    /// Loses no state when it is dropped while it waits.
    pub async fn run(&mut self) -> u8 {
        loop {
            match &self.state {
                State::Waiting { until, .. } => {
                    let until = *until;
                    tokio::select! {
                        _ = self.child_ended.recv() => self.reap(),
                        () = tokio::time::sleep_until(until.into()) => self.restart(),
                    }
                }
                State::Absent | State::Running { .. } => {
                    self.child_ended.recv().await;
                    self.reap();
                }
                State::Exited { .. } => self.end_descendants().await,
                State::Done(status) => return exit_code(*status),
            }
        }
    }

    /// Stops the child and returns the exit code: sends `signal`, and SIGKILL at `kill_at` or once
    /// `kill_early` is ready.
    pub async fn stop(&mut self, signal: Signal, kill_at: Instant, kill_early: impl Future) -> u8 {
        if let State::Running { group, .. } = &self.state {
            let group = *group;
            group.signal(signal);
            let kill_due = async {
                tokio::select! {
                    () = tokio::time::sleep_until(kill_at.into()) => {}
                    _ = kill_early => {}
                }
            };
            tokio::select! {
                () = self.wait_for_exit() => {}
                () = kill_due => {}
            }
            self.kill().await;
        }
        self.end_descendants().await;
        match &self.state {
            State::Waiting { last_status: status, .. } | State::Done(status) => exit_code(*status),
            State::Running { .. } => exit_code(ExitStatus::from_raw(Signal::KILL.as_raw())),
            State::Absent | State::Exited { .. } => 0,
        }
    }

    async fn wait_for_exit(&mut self) {
        while matches!(self.state, State::Running { .. }) {
            self.child_ended.recv().await;
            self.reap();
        }
    }

    /// Kills the child if it still runs.
    async fn kill(&mut self) {
        // It may have ended since the last SIGCHLD.
        self.reap();
        if let State::Running { group, .. } = &self.state {
            tracing::warn!(
                pid = group.pid().as_raw_nonzero(),
                "The exporter did not end in time, killing it"
            );
            group.signal(Signal::KILL);
            if tokio::time::timeout(KILL_TIMEOUT, self.wait_for_exit()).await.is_err() {
                tracing::error!("Failed to kill the exporter");
            }
        }
    }

    /// Reaps every process that has ended, and records the end of the child.
    fn reap(&mut self) {
        let child = match &self.state {
            State::Running { group, .. } => Some(group.pid()),
            _ => None,
        };
        for (pid, status) in descendants::reap() {
            if Some(pid) == child {
                self.record_exit(status);
            }
        }
    }

    fn record_exit(&mut self, status: ExitStatus) {
        let State::Running { group, since, probe } = &self.state else { return };
        probe.abort();
        self.readiness.set(false);
        if status.success() {
            tracing::info!(pid = group.pid().as_raw_nonzero(), %status, "The exporter ended");
        } else {
            tracing::warn!(pid = group.pid().as_raw_nonzero(), %status, "The exporter ended");
        }
        self.state = State::Exited { group: *group, status, ran_for: since.elapsed() };
    }

    /// Kills the processes that the child has left behind, and decides whether it is restarted.
    async fn end_descendants(&mut self) {
        let State::Exited { group, status, ran_for } = self.state else { return };
        descendants::kill_all(group).await;
        let on_failure =
            self.command.as_ref().is_some_and(|command| command.restart == Restart::OnFailure);
        self.state = if on_failure && !status.success() {
            self.schedule_restart(status, ran_for)
        } else {
            State::Done(status)
        };
    }

    fn schedule_restart(&mut self, last_status: ExitStatus, ran_for: Duration) -> State {
        let delay = self.backoff.next_delay(ran_for);
        tracing::warn!(delay = ?delay, "Starting the exporter again after a delay");
        State::Waiting { until: Instant::now() + delay, last_status }
    }

    fn restart(&mut self) {
        self.metrics.child_restarted();
        if let Err(code) = self.start() {
            // The wait status of a process that exits with `code` (wait(2)).
            let status = ExitStatus::from_raw(i32::from(code) << 8);
            self.state = self.schedule_restart(status, Duration::ZERO);
        }
    }
}

/// Returns the exit code of the child, or 128 plus the number of the signal that ended it.
fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| Some(SIGNAL_EXIT_BASE + status.signal()?));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit_codes::FAILURE)
}
