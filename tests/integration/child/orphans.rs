//! Processes whose parent ended come to the guard, and it reaps them: as PID 1 and elsewhere.

use super::{running, trap, wait_ready};
use crate::support::*;

const ORPHANS: u32 = 10_000;

/// Each inner subshell ends before or after its parent; either way only the guard can wait for
/// it.
fn script() -> String {
    format!(
        "i=0; while [ $i -lt {ORPHANS} ]; do (: & :); i=$((i+1)); done; echo done; \
         while [ ! -e go ]; do sleep 0.01; done; exit 9"
    )
}

/// Runs in a namespace of its own, where only the guard can reap.
const AS_PID_1: [&str; 5] = ["unshare", "--map-root-user", "--pid", "--fork", "--kill-child=KILL"];

fn assert_no_zombies(guard: &Guard, parent: u32) {
    guard.wait_stdout("10,000 orphans", |line| line == "done");
    let zombies = || {
        let children = procfs::children(parent);
        children.into_iter().filter(|child| !procfs::runs(*child)).collect::<Vec<_>>()
    };
    eventually("no zombies", || zombies().is_empty());
    // All that is left is the shell.
    eventually("one child", || procfs::children(parent).len() == 1);
    guard.write("go", "");
}

#[test]
fn ten_thousand_orphans_leave_no_zombies() {
    let mut guard = running(&script()).start();
    assert_no_zombies(&guard, guard.id());
    assert_eq!(guard.process().wait_exit().code(), Some(9));
}

#[test]
fn as_pid_1_ten_thousand_orphans_leave_no_zombies() {
    let mut guard = running(&script()).inside(&AS_PID_1).start();
    let first = procfs::children(guard.id());
    assert_eq!(first.len(), 1, "unshare has one child, the guard");
    assert_no_zombies(&guard, first[0]);
    assert_eq!(guard.process().wait_exit().code(), Some(9));
}

#[test]
fn as_pid_1_without_a_child_orphans_are_reaped_too() {
    // A process that is started into the namespace, as `docker exec` does, and forks.
    let mut guard = GuardBuilder::new().config(OPEN).inside(&AS_PID_1).start();
    let first = procfs::children(guard.id())[0];
    let mut enter = process::command("nsenter");
    enter.args(["--preserve-credentials", "--user", "--pid", "--target", &first.to_string()]);
    enter.args(["sh", "-c", "i=0; while [ $i -lt 100 ]; do (sleep 0.05 &); i=$((i+1)); done"]);
    process::Finished::run(&mut enter, guard.dir(), b"").expect_code(0);
    eventually("no children", || procfs::children(first).is_empty());
    assert!(guard.process().exited().is_none());
}

#[test]
fn as_pid_1_signals_work_and_exit_codes_are_passed_on() {
    // PID 1 has no default dispositions: what it does not handle does nothing.
    let mut guard = running(&trap("exit 42", "TERM")).inside(&AS_PID_1).start();
    let first = procfs::children(guard.id())[0];
    wait_ready(&guard);
    process::kill(first, libc::SIGTERM);
    assert_eq!(guard.process().wait_exit().code(), Some(42));
}
