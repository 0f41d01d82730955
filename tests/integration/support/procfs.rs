//! What the kernel knows about a process: the figures that do not depend on how busy the machine
//! is otherwise.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

fn threads(process: u32) -> Vec<PathBuf> {
    fs::read_dir(format!("/proc/{process}/task"))
        .expect("a running process")
        .map(|entry| entry.expect("a thread").path())
        .collect()
}

/// CPU time of all threads that run now.
pub fn cpu_time(process: u32) -> Duration {
    let nanoseconds = threads(process).into_iter().filter_map(|thread| {
        // A thread may end between the listing and here.
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// Voluntary and involuntary context switches of all threads.
pub fn context_switches(process: u32) -> u64 {
    let of_thread = |thread: &PathBuf| {
        let status = fs::read_to_string(thread.join("status")).unwrap_or_default();
        let lines = status.lines().filter(|line| line.contains("ctxt_switches:"));
        lines.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum::<u64>()
    };
    threads(process).iter().map(of_thread).sum()
}

pub fn thread_names(process: u32) -> Vec<String> {
    let name = |thread: &PathBuf| fs::read_to_string(thread.join("comm")).ok();
    threads(process).iter().filter_map(name).map(|name| name.trim().to_owned()).collect()
}

/// Anonymous memory in KiB: what the process has for itself, however many run the same binary.
pub fn anonymous_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a running process");
    status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:")?.split_whitespace().next()?.parse().ok())
        .expect("an RssAnon line")
}

/// The children of all threads.
pub fn children(process: u32) -> Vec<u32> {
    let list = |thread: &PathBuf| fs::read_to_string(thread.join("children")).ok();
    let lists: Vec<String> = threads(process).iter().filter_map(list).collect();
    lists.iter().flat_map(|list| list.split_whitespace()).flat_map(str::parse).collect()
}

/// Whether it runs: neither gone nor waiting to be reaped.
pub fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The state comes after the name, which is in parentheses.
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}
