//! File descriptors: as many as the system allows, and a limit on connections that leaves enough.

use std::io;

use super::limits;

/// Kept for files that are loaded, listeners, timers and the log.
const RESERVE: u64 = 32;

/// A connection and the one to the exporter that it may need.
const PER_CONNECTION: u64 = 2;

/// Raise the soft limit to the hard one, as Go's programs do: the soft one is low for the sake of
/// programs that use select(2).
pub fn raise_limit() -> io::Result<()> {
    let given = limits::get(libc::RLIMIT_NOFILE)?;
    limits::set(libc::RLIMIT_NOFILE, &libc::rlimit { rlim_cur: given.rlim_max, ..given })
}

/// How many connections there are descriptors for.
pub fn connections() -> usize {
    let limit = limits::get(libc::RLIMIT_NOFILE).map_or(u64::MAX, |limit| limit.rlim_cur);
    let connections = limit.saturating_sub(RESERVE) / PER_CONNECTION;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}
