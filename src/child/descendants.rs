//! The processes that the child has started: they are adopted when their parent ends, reaped, and
//! killed when the child has ended.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, wait};

use super::spawn::ProcessGroup;

/// The time that killed processes may take to end: they do so at once, except in an uninterruptible
/// system call.
const KILL_TIMEOUT: Duration = Duration::from_secs(1);
/// The time between two looks for children while killed ones end.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// Makes orphans below this process its children, as they are for PID 1 (PR_SET_CHILD_SUBREAPER).
///
/// # Errors
///
/// Returns the error of prctl(2).
pub fn adopt_orphans() -> io::Result<()> {
    // Any process id but 0 turns the flag on, and its value does not matter.
    set_child_subreaper(Some(getpid()))?;
    Ok(())
}

/// Reaps each child that has ended (waitpid(2)), and returns it with its status.
pub fn reap() -> impl Iterator<Item = (Pid, ExitStatus)> {
    // This takes the status of every child, so nothing else in this process may wait for children.
    std::iter::from_fn(|| {
        let (pid, status) = wait(WaitOptions::NOHANG).ok()??;
        Some((pid, ExitStatus::from_raw(status.as_raw())))
    })
}

/// Kills the rest of a process group whose leader has ended, and every adopted orphan; gives up
/// after [`KILL_TIMEOUT`].
pub async fn kill_all(group: ProcessGroup) {
    let deadline = Instant::now() + KILL_TIMEOUT;
    loop {
        group.signal(Signal::KILL);
        let children = children();
        for child in &children {
            // It has not been reaped since it was listed, so its process id has not been reused.
            let _ = kill_process(*child, Signal::KILL);
        }
        reap().for_each(drop);
        if children.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            tracing::warn!(
                processes = ?children,
                "Failed to kill the processes that the exporter started"
            );
            return;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
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
