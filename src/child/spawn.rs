//! The start of the command: in a process group of its own, killed when the guard dies, and without
//! variables or descriptors that belong to the guard.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::os::child_process;
use crate::os::limits::InheritedLimits;

/// The exit code of shells and env(1) for a command that does not exist.
const EXIT_NOT_FOUND: u8 = 127;
/// The exit code of shells and env(1) for a command that exists but cannot be run.
const EXIT_CANNOT_RUN: u8 = 126;

/// Variables that systemd sets for this process alone: sockets, notifications and credentials.
const OWN_VARIABLES: [&str; 7] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
];
/// The prefix of the variables for the guard's flags.
const OWN_PREFIX: &[u8] = b"EXPORTER_GUARD_";

/// The child and the process group that it leads.
#[derive(Debug, Clone, Copy)]
pub struct ProcessGroup(Pid);

impl ProcessGroup {
    /// Starts a command in a process group of its own. Standard input, output and error are the
    /// guard's own, untouched.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system; [`exit_code`] turns it into an exit code.
    pub fn spawn(words: &[OsString], limits: InheritedLimits) -> io::Result<Self> {
        let (program, args) = words
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
        let mut command = Command::new(program);
        command.args(args);
        for (name, _) in std::env::vars_os() {
            let is_own = name.as_encoded_bytes().starts_with(OWN_PREFIX)
                || OWN_VARIABLES.iter().any(|variable| name == *variable);
            if is_own {
                command.env_remove(name);
            }
        }
        child_process::isolate(&mut command, limits);
        // `descendants::reap` waits for it.
        let child = command.spawn()?;
        Ok(Self(Pid::from_child(&child)))
    }

    /// Returns the process id of the child.
    pub fn pid(self) -> Pid {
        self.0
    }

    /// Sends a signal to the child and to the processes of its group that it started.
    pub fn signal(self, signal: Signal) {
        // A group that has ended is no error. Its number is not reused before the leader is reaped,
        // and right after that only `kill_all` signals it.
        let _ = kill_process_group(self.0, signal);
    }
}

/// Returns the exit code for a command that could not be started.
pub fn exit_code(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN }
}
