//! No core dump, no debugger, no /proc/PID/mem: secrets stay in this process.

use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Makes this process not dumpable (PR_SET_DUMPABLE in prctl(2)): no core file, not even through a
/// core_pattern that pipes, and no ptrace by other processes of the same user. A child is as it would
/// be without the guard.
///
/// # Errors
///
/// Returns the error of prctl(2) or setrlimit(2).
pub fn forbid() -> io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), ..getrlimit(Resource::Core) })?;
    Ok(())
}
