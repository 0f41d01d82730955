//! The limit of file descriptors, and the number of connections that it allows.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
    let given = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: given.maximum, ..given })?;
    Ok(())
}

/// Returns the number of connections that there are descriptors for; at least 1.
pub fn connections() -> usize {
    // `None` is RLIM_INFINITY.
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let connections = limit.saturating_sub(RESERVED) / PER_CONNECTION;
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}
