//! `-- COMMAND`: the guard runs the exporter, and is the init of its container.

mod ending;
mod isolation;
mod orphans;
mod restart;
mod serving;

use crate::support::*;

/// A guard that runs a shell script.
fn running(script: &str) -> GuardBuilder {
    GuardBuilder::new().config("").child(&["sh", "-c", script])
}

/// The process id of the child that was started last.
fn child_of(guard: &Guard) -> u32 {
    guard.wait_log("the child", |line| logfmt::field(line, "msg") == "Started the exporter");
    let pid = guard.stderr().iter().rev().find_map(|line| {
        (logfmt::field(line, "msg") == "Started the exporter")
            .then(|| logfmt::field(line, "pid").parse().ok())?
    });
    pid.expect("a process id")
}
