//! No core dump, no debugger, no /proc/PID/mem: what is secret stays in this process.

use std::io;

use super::limits;

/// Not dumpable (PR_SET_DUMPABLE in prctl(2)): no core file, not even through a core_pattern that
/// pipes, and no ptrace by others of the same user. A child is as it would be without the guard.
pub fn forbid() -> io::Result<()> {
    // SAFETY: sets a flag of this process; no pointer is passed.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let given = limits::get(libc::RLIMIT_CORE)?;
    limits::set(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, ..given })
}
