//! Resource limits (setrlimit(2)): what this process was given, for the child to have again.

use std::io;

/// The type of the constants, which differs between C libraries.
#[cfg(target_env = "gnu")]
pub type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
pub type Resource = libc::c_int;

/// The limits that the guard changes for itself, as they were at its start.
#[derive(Debug, Clone, Copy)]
pub struct Inherited([(Resource, libc::rlimit); 2]);

impl Inherited {
    /// To be called before anything is changed.
    pub fn read() -> io::Result<Self> {
        let limit = |resource| Ok::<_, io::Error>((resource, get(resource)?));
        Ok(Self([limit(libc::RLIMIT_NOFILE)?, limit(libc::RLIMIT_CORE)?]))
    }

    /// Make them this process's own again. Only system calls: may be used between fork and exec.
    pub fn restore(&self) -> io::Result<()> {
        for (resource, limit) in &self.0 {
            set(*resource, limit)?;
        }
        Ok(())
    }
}

pub fn get(resource: Resource) -> io::Result<libc::rlimit> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives the call.
    match unsafe { libc::getrlimit(resource, &raw mut limit) } {
        0 => Ok(limit),
        _ => Err(io::Error::last_os_error()),
    }
}

pub fn set(resource: Resource, limit: &libc::rlimit) -> io::Result<()> {
    // SAFETY: `limit` outlives the call.
    match unsafe { libc::setrlimit(resource, limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
