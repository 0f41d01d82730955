//! File descriptors: as many as the system allows, and the number of connections that they suffice
//! for.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors kept for files that are loaded, listeners, timers and the log.
const RESERVE: u64 = 32;

/// A connection needs one descriptor, and another for the connection to the exporter.
const PER_CONNECTION: u64 = 2;

/// Raises the soft limit of open files to the hard one, as Go's programs do: the soft limit is low for
/// the sake of programs that use select(2).
///
/// # Errors
///
/// Returns the error of setrlimit(2).
pub fn raise_limit() -> io::Result<()> {
    let given = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given })?;
    Ok(())
}

/// Returns the number of connections that there are descriptors for; at least 1.
pub fn connections() -> usize {
    // No limit is infinity.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = limit.saturating_sub(RESERVE) / PER_CONNECTION;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}
