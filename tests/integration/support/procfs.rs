//! What the kernel knows about a process: the figures that do not depend on how busy the machine
//! is otherwise.

use std::fs;
use std::net::{SocketAddr, TcpStream};
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

/// One end of a TCP connection over IPv4, as /proc/net/tcp has it (proc(5)).
struct End {
    state: String,
    /// Bytes that were sent and not acknowledged.
    unsent: u64,
    /// Bytes that came and were not read.
    unread: u64,
}

fn end(local: SocketAddr, remote: SocketAddr) -> Option<End> {
    let shown = |address: SocketAddr| match address {
        SocketAddr::V4(address) => {
            let ip = u32::from_ne_bytes(address.ip().octets());
            format!("{ip:08X}:{:04X}", address.port())
        }
        SocketAddr::V6(_) => panic!("not over IPv4: {address}"),
    };
    let (local, remote) = (shown(local), shown(remote));
    let table = fs::read_to_string("/proc/net/tcp").expect("a table of sockets");
    table.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.get(1) != Some(&&*local) || words.get(2) != Some(&&*remote) {
            return None;
        }
        let (unsent, unread) = words[4].split_once(':')?;
        let bytes = |hex| u64::from_str_radix(hex, 16).expect("a number");
        Some(End { state: words[3].to_owned(), unsent: bytes(unsent), unread: bytes(unread) })
    })
}

/// Whether the server on this host has read everything that `client` has sent.
pub fn has_read_all(client: &TcpStream) -> bool {
    let (here, there) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    end(here, there).is_some_and(|end| end.unsent == 0)
        && end(there, here).is_some_and(|end| end.unread == 0)
}

/// Whether the end of what `client` sends has come to the server on this host.
pub fn has_end(client: &TcpStream) -> bool {
    const CLOSE_WAIT: &str = "08";
    let (here, there) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
    end(there, here).is_some_and(|end| end.state == CLOSE_WAIT)
}

/// The threads of a process by id and name.
pub fn named_threads(process: u32) -> Vec<(libc::pid_t, String)> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("threads");
    tasks
        .filter_map(|task| {
            let path = task.ok()?.path();
            let id = path.file_name()?.to_str()?.parse().ok()?;
            Some((id, fs::read_to_string(path.join("comm")).ok()?.trim().to_owned()))
        })
        .collect()
}
