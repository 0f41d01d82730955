//! Starting the command: in a process group of its own, killed when the guard dies, with nothing
//! of the guard's in its environment or among its descriptors.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::process::limits::Inherited;

pub type Pid = libc::pid_t;

/// The exit codes of shells and env(1) for a command that could not be started.
const EXIT_NOT_FOUND: u8 = 127;
const EXIT_CANNOT_RUN: u8 = 126;

/// Variables that are about this process: sockets, notifications and credentials from systemd.
const OWN_VARIABLES: [&str; 7] = [
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
];
const OWN_PREFIX: &[u8] = b"EXPORTER_GUARD_";

/// The child and the process group that it leads.
#[derive(Debug, Clone, Copy)]
pub struct Group(Pid);

impl Group {
    /// Standard input, output and error are the guard's own, untouched.
    pub fn spawn(words: &[OsString], limits: Inherited) -> io::Result<Self> {
        let (program, args) = words
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
        let mut command = Command::new(program);
        command.args(args).process_group(0);
        for (name, _) in std::env::vars_os() {
            let own = name.as_encoded_bytes().starts_with(OWN_PREFIX)
                || OWN_VARIABLES.iter().any(|variable| name == *variable);
            if own {
                command.env_remove(name);
            }
        }
        let guard = own_pid();
        // SAFETY: between fork and exec only system calls are made, no memory is allocated and no
        // lock is taken.
        unsafe { command.pre_exec(move || prepare(guard, limits)) };
        // Not waited for here: `descendants::reap` does.
        let child = command.spawn()?;
        Pid::try_from(child.id()).map(Self).map_err(io::Error::other)
    }

    pub fn pid(self) -> Pid {
        self.0
    }

    /// Signal the child and what it started.
    pub fn signal(self, signal: libc::c_int) {
        // SAFETY: no pointer is passed. A group that is gone is no error worth telling: its
        // number is not reused while we have not reaped the leader, and right after only `end_all`
        // signals it.
        unsafe { libc::kill(-self.0, signal) };
    }
}

/// What the exit code says of a command that could not be started.
pub fn exit_code(error: &io::Error) -> u8 {
    if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_CANNOT_RUN }
}

fn own_pid() -> Pid {
    // SAFETY: cannot fail and touches no memory.
    unsafe { libc::getpid() }
}

/// Runs in the child before exec.
fn prepare(guard: Pid, limits: Inherited) -> io::Result<()> {
    limits.restore()?;
    // SAFETY: system calls without pointers.
    unsafe {
        if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Err(io::Error::last_os_error());
        }
        // It died before it could be noticed.
        if libc::getppid() != guard {
            libc::_exit(i32::from(EXIT_CANNOT_RUN));
        }
        // Kernels before 5.11 do not know it. Every descriptor of the guard's own has the flag.
        let first: libc::c_uint = 3;
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
    Ok(())
}
