//! The processes below the child: adopted when their parent ends, reaped, and ended with it.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::spawn::{Group, Pid};

/// Killed processes are gone at once, except those that sit in the kernel.
const PATIENCE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);

/// Orphans below this process become its children, as they do for PID 1.
pub fn adopt_orphans() -> io::Result<()> {
    // SAFETY: sets a flag of this process; no pointer is passed.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Every child that has ended, until none is left that has.
pub fn reap() -> impl Iterator<Item = (Pid, ExitStatus)> {
    std::iter::from_fn(|| {
        let mut status = 0;
        // SAFETY: `status` outlives the call. Nothing else in this process waits for children.
        let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
        (pid > 0).then(|| (pid, ExitStatus::from_raw(status)))
    })
}

/// Kill what is left of a group whose leader has ended, and every orphan that came to us.
pub async fn end_all(group: Group) {
    let end = Instant::now() + PATIENCE;
    loop {
        group.signal(libc::SIGKILL);
        let children = children();
        for child in &children {
            // SAFETY: no pointer is passed. `child` is ours and was not reaped since it was listed.
            unsafe { libc::kill(*child, libc::SIGKILL) };
        }
        reap().for_each(drop);
        if children.is_empty() {
            return;
        }
        if Instant::now() > end {
            tracing::warn!(processes = ?children, "What the exporter started cannot be ended");
            return;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The children of all threads of this process (proc_pid_children(5)).
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
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
