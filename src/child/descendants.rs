//! The processes below the child: adopted when their parent ends, reaped, and ended with it.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

use super::spawn::ProcessGroup;

/// How long killed processes may take to be gone: they are at once, except those that sit in the
/// kernel.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);

/// Makes orphans below this process its children, as they are for PID 1 (PR_SET_CHILD_SUBREAPER).
///
/// # Errors
///
/// Returns the error of prctl(2).
pub fn adopt_orphans() -> io::Result<()> {
    // Any process id turns the flag on; there is no meaning in which one.
    set_child_subreaper(Some(getpid()))?;
    Ok(())
}

/// Reaps every child that has ended, until none is left that has.
pub fn reap() -> impl Iterator<Item = (Pid, ExitStatus)> {
    // Nothing else in this process waits for children.
    std::iter::from_fn(|| {
        let (pid, status) = wait(WaitOptions::NOHANG).ok()??;
        Some((pid, ExitStatus::from_raw(status.as_raw())))
    })
}

/// Kills what is left of a group whose leader has ended, and every orphan that came to this process.
pub async fn end_all(group: ProcessGroup) {
    let end = Instant::now() + KILL_TIMEOUT;
    loop {
        group.signal(Signal::KILL);
        let children = children();
        for child in &children {
            // It was not reaped since it was listed, so that its number is still its own.
            let _ = kill_process(*child, Signal::KILL);
        }
        reap().for_each(drop);
        if children.is_empty() {
            return;
        }
        if Instant::now() > end {
            tracing::warn!(processes = ?children, "Failed to end what the exporter started");
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Lists the children of all threads of this process (proc_pid_children(5)).
fn children() -> Vec<Pid> {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    let lists = threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("children")).ok())
        .collect::<Vec<_>>();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect()
}
