//! `-- COMMAND`: the guard runs the exporter, and is the init of its container.

mod ending;
mod isolation;
mod orphans;
mod restart;
mod serving;

use crate::support::*;

/// A guard that runs a shell script.
fn running(script: &str) -> GuardBuilder {
    GuardBuilder::new().config(OPEN).child(&["sh", "-c", script])
}

/// A script that says `ready` when it handles this signal, and goes on until one ends it.
fn trap(action: &str, signal: &str) -> String {
    format!("trap '{action}' {signal}; echo ready; while :; do sleep 0.01; done")
}

/// A guard in front of nothing that runs such a script; it handles the signal already.
fn trapping(action: &str, signal: &str) -> Guard {
    let guard = running(&trap(action, signal)).arg("--shutdown.grace-period=1h").start();
    wait_ready(&guard);
    guard
}

fn wait_ready(guard: &Guard) {
    guard.wait_stdout("the trap", |line| line == "ready");
}

/// The process id of the child that was started last.
fn child_of(guard: &Guard) -> u32 {
    guard.wait_message("Started the exporter");
    let pid = guard.stderr().iter().rev().find_map(|line| {
        (logfmt::field(line, "msg") == "Started the exporter")
            .then(|| logfmt::field(line, "pid").parse().ok())?
    });
    pid.expect("a process id")
}
