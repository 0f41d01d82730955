//! The operating system: limits, the sandbox, signals, child processes and the service manager. The
//! only module with `unsafe` code.

#![allow(
    unsafe_code,
    reason = "system calls that no library wraps; each block says why it is sound"
)]

pub mod child_process;
pub mod descriptors;
pub mod dumps;
pub mod environment;
pub mod exit_codes;
pub mod file_trust;
pub mod limits;
pub mod memory;
pub mod openssl;
pub mod priorities;
pub mod sandbox;
mod seccomp;
pub mod signals;
pub mod sockets;
pub mod systemd;
