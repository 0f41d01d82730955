//! The guard ends as its child ended; it ends its child within the grace period.

use std::os::unix::process::ExitStatusExt;
use std::sync::Mutex;
use std::time::Duration;

use super::{child_of, running, trap, trapping, wait_ready};
use crate::support::*;

/// Signals whose default is to end a process, by number where POSIX leaves no doubt.
const DEADLY: [libc::c_int; 11] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGILL,
    libc::SIGABRT,
    libc::SIGFPE,
    libc::SIGKILL,
    libc::SIGUSR1,
    libc::SIGSEGV,
    libc::SIGALRM,
    libc::SIGTERM,
];

fn code_of(script: &str) -> Option<i32> {
    running(script).fail_to_start().code
}

#[test]
fn every_exit_code_is_passed_on() {
    let codes = Mutex::new(0..=255);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let next = codes.lock().unwrap().next();
                    let Some(code) = next else { break };
                    let got = code_of(&format!("exit {code}"));
                    if got != Some(code) {
                        wrong.lock().unwrap().push((code, got));
                    }
                }
            });
        }
    });
    assert!(wrong.lock().unwrap().is_empty(), "{wrong:?}");
}

#[test]
fn a_signal_that_ends_the_child_exits_with_128_and_its_number() {
    for signal in DEADLY {
        assert_eq!(code_of(&format!("ulimit -c 0; kill -{signal} $$")), Some(128 + signal));
    }
}

/// The codes of shells and env(1).
#[test]
fn a_command_that_cannot_run_exits_with_126_or_127() {
    for (command, code) in [("/nonexistent/exporter", 127), ("/etc/passwd", 126), ("", 127)] {
        let finished = GuardBuilder::new().config(OPEN).child(&[command]).fail_to_start();
        assert_eq!(finished.code, Some(code), "{finished}");
        assert!(finished.stderr.contains("Failed to start the exporter"), "{finished}");
    }
}

#[test]
fn a_crash_ends_the_guard() {
    let mut guard = running("sleep 1000").arg("--shutdown.grace-period=1h").start();
    let child = child_of(&guard);
    process::kill(child, libc::SIGSEGV);
    assert_eq!(guard.process().wait_exit().code(), Some(128 + libc::SIGSEGV));
}

#[test]
#[ignore = "a wall-clock bound"]
fn a_crash_ends_the_guard_within_a_second() {
    assert_within(Duration::from_secs(1), "a crash", a_crash_ends_the_guard);
}

#[test]
fn signals_are_passed_on() {
    let signals = [
        ("HUP", libc::SIGHUP),
        ("QUIT", libc::SIGQUIT),
        ("USR1", libc::SIGUSR1),
        ("USR2", libc::SIGUSR2),
        ("WINCH", libc::SIGWINCH),
    ];
    for (name, number) in signals {
        let mut guard = trapping("exit 21", name);
        guard.signal(number);
        assert_eq!(guard.process().wait_exit().code(), Some(21), "{name}");
    }
}

#[test]
fn signals_reach_processes_that_the_child_started() {
    // The inner shell is no child of the guard's; it belongs to the group.
    let script = "trap : USR1; \
                  sh -c 'trap \"echo inner; exit\" USR1; echo ready; while :; do sleep 0.01; done' & \
                  wait; wait; exit 21";
    let mut guard = running(script).start();
    guard.wait_stdout("the inner shell", |line| line == "ready");
    guard.signal(libc::SIGUSR1);
    guard.wait_stdout("the signal", |line| line == "inner");
    assert_eq!(guard.process().wait_exit().code(), Some(21));
}

#[test]
fn sigterm_and_sigint_end_the_child() {
    for (signal, name) in [(libc::SIGTERM, "TERM"), (libc::SIGINT, "INT")] {
        let mut guard = trapping("exit 42", name);
        guard.signal(signal);
        assert_eq!(guard.process().wait_exit().code(), Some(42), "{name}");
    }
}

#[test]
fn sigterm_keeps_the_exporter_until_requests_are_done() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    let (exporter, go) = Exporter::held(format!("{head}first"), "after");
    let mut guard = running(&trap("exit 42", "TERM")).upstream(&exporter).start();
    wait_ready(&guard);
    // The question for readiness would wait for its turn.
    let mut client = guard.connect();
    client.send(get("/metrics", ""));
    assert_eq!(client.head().status, 200);
    guard.signal(libc::SIGTERM);
    guard.wait_log("the drain", |line| line.contains("finishing running requests"));
    assert!(procfs::runs(child_of(&guard)), "the child was ended before the request");
    go.send(()).unwrap();
    go.send(()).unwrap();
    assert_eq!(client.take(10).unwrap(), b"firstafter");
    assert_eq!(guard.process().wait_exit().code(), Some(42));
}

#[test]
fn a_child_that_ignores_sigterm_is_killed_within_the_grace_period() {
    let mut guard = running(&trap("", "TERM")).arg("--shutdown.grace-period=1s").start();
    wait_ready(&guard);
    guard.signal(libc::SIGTERM);
    let status = guard.process().wait_exit();
    assert_eq!(status.code(), Some(128 + libc::SIGKILL));
    assert!(guard.stderr().iter().any(|line| line.contains("did not end in time")));
}

#[test]
fn a_second_signal_kills_the_child_at_once() {
    let mut guard = trapping("", "TERM");
    guard.signal(libc::SIGTERM);
    guard.wait_log("the drain", |line| line.contains("finishing running requests"));
    // The first of these may still fall into the drain.
    eventually("the end", || {
        if guard.process().exited().is_none() {
            guard.signal(libc::SIGTERM);
        }
        guard.process().exited().is_some()
    });
    assert_eq!(guard.process().wait_exit().code(), Some(128 + libc::SIGKILL));
}

#[test]
fn a_killed_guard_ends_its_child() {
    let mut guard = running("exec sleep 1000").start();
    let child = child_of(&guard);
    guard.signal(libc::SIGKILL);
    assert_eq!(guard.process().wait_exit().signal(), Some(libc::SIGKILL));
    eventually("the child is gone", || !procfs::runs(child));
}

#[test]
fn nothing_the_child_started_is_left_behind() {
    // One in the group, one in a session of its own.
    let script = "sleep 1000 & echo $!; setsid sh -c 'echo $$; exec sleep 1000' & echo started; \
                  while [ ! -e go ]; do sleep 0.01; done; exit 5";
    let mut guard = running(script).start();
    let is_number = |line: &str| line.parse::<u32>().is_ok();
    eventually("two processes", || {
        guard.stdout().iter().filter(|line| is_number(line)).count() == 2
    });
    let left: Vec<u32> = guard.stdout().iter().filter_map(|line| line.parse().ok()).collect();
    assert!(left.iter().all(|process| procfs::runs(*process)), "{left:?}");
    guard.write("go", "");
    assert_eq!(guard.process().wait_exit().code(), Some(5));
    assert!(!left.iter().any(|process| procfs::runs(*process)), "{left:?}");
}

/// What the child started takes a moment to end; a signal in that moment changes nothing.
#[test]
fn a_signal_while_descendants_end_does_not_change_the_exit_code() {
    let script = "i=0; while [ $i -lt 200 ]; do sleep 1000 & i=$((i+1)); done; echo started; \
                  while [ ! -e go ]; do sleep 0.01; done; exit 5";
    let mut guard = running(script).start();
    guard.wait_stdout("the descendants", |line| line == "started");
    guard.write("go", "");
    eventually("the end", || {
        if guard.process().exited().is_none() {
            guard.signal(libc::SIGWINCH);
        }
        guard.process().exited().is_some()
    });
    assert_eq!(guard.process().wait_exit().code(), Some(5));
}
