//! The exit codes of the guard; with a child, the child's own.

/// The command line is wrong.
pub const USAGE: u8 = 2;
/// Anything else has failed.
pub const FAILURE: u8 = 1;
