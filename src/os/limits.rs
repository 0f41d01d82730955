//! Resource limits (setrlimit(2)): those that the guard has inherited, which its child gets
//! unchanged.

use std::io;

/// The type of the resources' names, which differs between C libraries.
#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;

/// The limit of open files.
pub const OPEN_FILES: Resource = libc::RLIMIT_NOFILE;
/// The limit of the size of a core dump.
pub const CORE_SIZE: Resource = libc::RLIMIT_CORE;

/// A limit in force and its maximum; `libc::RLIM_INFINITY` is none.
pub type Limit = libc::rlimit;

/// The limits that the guard changes for itself, as they were at its start; `None` where the system
/// does not tell.
#[derive(Debug, Clone, Copy)]
pub struct InheritedLimits([(Resource, Option<Limit>); 2]);

impl InheritedLimits {
    /// Reads the limits. To be called before any of them is changed.
    pub fn read() -> Self {
        Self([OPEN_FILES, CORE_SIZE].map(|resource| (resource, get(resource).ok())))
    }

    /// Makes the limits this process's own again. Makes system calls alone, so that it may be called
    /// between fork and exec.
    ///
    /// # Errors
    ///
    /// Returns the error of setrlimit(2).
    pub fn restore(&self) -> io::Result<()> {
        for (resource, limit) in &self.0 {
            if let Some(limit) = limit {
                set(*resource, limit)?;
            }
        }
        Ok(())
    }
}

/// Reads a limit (getrlimit(2)). By libc and not by rustix, which takes for granted that the call
/// works: the rules of a container may refuse it.
///
/// # Errors
///
/// Returns the error of the call.
pub fn get(resource: Resource) -> io::Result<Limit> {
    let mut limit = Limit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the call.
    match unsafe { libc::getrlimit(resource, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sets a limit (setrlimit(2)).
///
/// # Errors
///
/// Returns the error of the call.
pub fn set(resource: Resource, limit: &Limit) -> io::Result<()> {
    // SAFETY: `limit` outlives the call.
    match unsafe { libc::setrlimit(resource, limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
