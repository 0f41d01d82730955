//! Protection of the memory of this process, which has secrets, from core dumps, debuggers and
//! /proc/PID/mem.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::limits::{self, CORE_SIZE, Limit};

/// Makes this process not dumpable (PR_SET_DUMPABLE in prctl(2)).
///
/// It then writes no core file, not even through a core_pattern that pipes, and other processes of
/// the same user cannot ptrace it. A child process is not affected: exec makes it dumpable again,
/// and [`super::limits`] restores its limit.
///
/// # Errors
///
/// Returns the error of prctl(2) or setrlimit(2).
pub fn forbid() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let given = limits::get(CORE_SIZE)?;
    limits::set(CORE_SIZE, &Limit { rlim_cur: 0, ..given })
}
