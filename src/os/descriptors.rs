//! The limit of file descriptors, and the number of connections that it allows.

use std::io;

use super::limits::{self, Limit, OPEN_FILES};

/// Descriptors that are kept for files that are loaded, listeners, timers and the log.
const RESERVED: u64 = 32;

/// Descriptors per connection: its own, and that of the connection to the exporter.
const PER_CONNECTION: u64 = 2;

/// Raises the soft limit of open files to the hard limit, as Go programs do: the soft limit is low
/// only for programs that use select(2).
///
/// # Errors
///
/// Returns the error of setrlimit(2).
pub fn raise_limit() -> io::Result<()> {
    let given = limits::get(OPEN_FILES)?;
    limits::set(OPEN_FILES, &Limit { rlim_cur: given.rlim_max, ..given })
}

/// Returns the number of connections that there are descriptors for; at least 1.
pub fn connections() -> usize {
    // Unknown is taken for no limit.
    let limit = limits::get(OPEN_FILES).map_or(u64::MAX, |limit| limit.rlim_cur);
    let connections = limit.saturating_sub(RESERVED) / PER_CONNECTION;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}
