//! The exit codes of the guard. With a child, it exits with the exit code of the child instead.

/// The exit code for a wrong command line.
pub const USAGE: u8 = 2;
/// The exit code for any other failure.
pub const FAILURE: u8 = 1;
