//! Resource limits (setrlimit(2)): those that the guard has inherited, which its child gets
//! unchanged.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The limits that the guard changes for itself, as they were at its start.
#[derive(Debug, Clone, Copy)]
pub struct InheritedLimits {
    open_files: Rlimit,
    core_size: Rlimit,
}

impl InheritedLimits {
    /// Reads the limits. Must be called before any of them is changed.
    pub fn read() -> Self {
        Self { open_files: getrlimit(Resource::Nofile), core_size: getrlimit(Resource::Core) }
    }

    /// Sets the limits of this process back to these. Makes only system calls, so that it may be
    /// called between fork and exec.
    ///
    /// # Errors
    ///
    /// Returns the error of setrlimit(2).
    pub fn restore(&self) -> io::Result<()> {
        setrlimit(Resource::Nofile, self.open_files)?;
        setrlimit(Resource::Core, self.core_size)?;
        Ok(())
    }
}
