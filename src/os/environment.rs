//! Changes of environment variables, which are sound only while no other thread can read them.

use std::ffi::OsStr;

/// The line of /proc/self/status for a process with one thread (proc_pid_status(5)).
const SINGLE_THREAD_LINE: &str = "Threads:\t1";

/// Runs `work` with these variables set to `value`, and restores them afterwards.
///
/// A process with more than one thread, another of which could read the environment meanwhile, runs
/// `work` without the change.
pub fn with_variables<T>(names: &[&str], value: &str, work: impl FnOnce() -> T) -> T {
    if !is_single_threaded() {
        return work();
    }
    let previous: Vec<_> = names.iter().map(|name| (name, std::env::var_os(name))).collect();
    for name in names {
        set(name, Some(value.as_ref()));
    }
    let result = work();
    for (name, value) in previous {
        set(name, value.as_deref());
    }
    result
}

fn is_single_threaded() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .is_ok_and(|status| status.lines().any(|line| line == SINGLE_THREAD_LINE))
}

/// Sets or removes a variable. Only [`with_variables`] may call this, which has checked that there
/// is no other thread.
fn set(name: &str, value: Option<&OsStr>) {
    // SAFETY: no other thread exists that could read or write the environment. A thread that `work`
    // starts must not read it, and those of OpenSSL and of pingora's connector do not.
    unsafe {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_several_threads_keeps_its_environment() {
        // The test harness has more threads than this one.
        let seen = with_variables(&["EXPORTER_GUARD_TEST"], "changed", || {
            std::env::var_os("EXPORTER_GUARD_TEST")
        });
        assert_eq!(seen, None);
    }
}
