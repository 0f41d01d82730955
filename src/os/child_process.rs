//! The set-up of a child process between fork and exec.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};

use super::limits::InheritedLimits;

/// The first descriptor after standard input, output and error.
const FIRST_OWN_DESCRIPTOR: libc::c_uint = 3;

/// Sets up `command` so that its process leads a process group, has these limits, inherits only the
/// first three descriptors, and is killed when the thread that starts it ends.
pub fn isolate(command: &mut Command, limits: InheritedLimits) {
    command.process_group(0);
    let parent = getpid();
    // SAFETY: between fork and exec only system calls are made, no memory is allocated and no lock
    // is taken.
    unsafe { command.pre_exec(move || prepare(parent, &limits)) };
}

/// Runs in the child before exec.
fn prepare(parent: Pid, limits: &InheritedLimits) -> io::Result<()> {
    limits.restore()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before the call above sends no signal.
    if getppid() != Some(parent) {
        return Err(Errno::SRCH.into());
    }
    // The result is ignored: kernels before 5.11 do not know the flag, and every descriptor of the
    // guard's own is close-on-exec anyway.
    // SAFETY: a system call without pointers.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            FIRST_OWN_DESCRIPTOR,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
    Ok(())
}
