//! `--child.restart=on-failure`.

use super::{child_of, running};
use crate::support::*;

/// Answers on the address given in `ADDRESS` until it is killed.
fn real_exporter(address: &str) -> GuardBuilder {
    let listen = format!("--web.listen-address={address}");
    GuardBuilder::new()
        .config(OPEN)
        .upstream(format!("http://{address}"))
        .telemetry()
        .child(&["prometheus-node-exporter", &listen])
}

#[test]
fn an_exporter_that_fails_is_started_again() {
    let address = ports::own_address(2, 9100);
    let mut guard = real_exporter(&address).arg("--child.restart=on-failure").start();
    let ready = |guard: &Guard| guard.telemetry().get("/-/ready").status == 200;
    eventually("the exporter answers", || ready(&guard));
    assert_eq!(guard.connect().get("/metrics").status, 200);
    let first = child_of(&guard);
    process::kill(first, libc::SIGKILL);
    eventually("another child", || child_of(&guard) != first);
    eventually("it answers", || ready(&guard));
    assert_eq!(guard.connect().get("/metrics").status, 200);
    assert!((guard.metric("exporter_guard_child_restarts_total") - 1.0).abs() < f64::EPSILON);
    guard.signal(libc::SIGTERM);
    assert_eq!(guard.process().wait_exit().code(), Some(128 + libc::SIGTERM));
}

#[test]
fn until_the_exporter_runs_again_the_answer_is_502_and_the_guard_is_not_ready() {
    // Works once, then fails until the test says otherwise.
    let address = ports::own_address(3, 9100);
    let script = format!(
        "[ -e broken ] && exit 1; exec prometheus-node-exporter --web.listen-address={address}"
    );
    let guard = running(&script)
        .upstream(format!("http://{address}"))
        .telemetry()
        .arg("--child.restart=on-failure")
        .start();
    let ready = || guard.telemetry().get("/-/ready").status;
    eventually("the exporter answers", || ready() == 200);
    guard.write("broken", "");
    process::kill(child_of(&guard), libc::SIGKILL);
    eventually("not ready", || ready() == 503);
    assert_eq!(guard.connect().get("/metrics").status, 502);
    assert_eq!(guard.telemetry().get("/-/healthy").status, 200);
    std::fs::remove_file(guard.path("broken")).unwrap();
    eventually("ready again", || ready() == 200);
    assert_eq!(guard.connect().get("/metrics").status, 200);
}

#[test]
fn the_delay_between_restarts_doubles() {
    let guard = running("exit 1").arg("--child.restart=on-failure").start();
    let is_delay = |line: &str| line.contains("Starting the exporter again");
    guard.wait_stderr("four delays", 4, is_delay);
    let lines = guard.stderr();
    let delays: Vec<String> = lines
        .iter()
        .filter(|line| is_delay(line))
        .map(|line| logfmt::field(line, "delay"))
        .take(4)
        .collect();
    assert_eq!(delays, ["100ms", "200ms", "400ms", "800ms"]);
}

#[test]
fn an_exporter_that_ends_with_success_is_not_restarted() {
    let finished = running("exit 0").arg("--child.restart=on-failure").fail_to_start();
    finished.expect_code(0);
}

#[test]
fn sigterm_between_two_starts_exits_with_the_code_of_the_last_run() {
    let mut guard = running("exit 17").arg("--child.restart=on-failure").start();
    guard.wait_stderr("a delay", 3, |line| line.contains("Starting the exporter again"));
    guard.signal(libc::SIGTERM);
    assert_eq!(guard.process().wait_exit().code(), Some(17));
}

#[test]
fn restart_without_a_command_is_a_usage_error() {
    GuardBuilder::new()
        .config(OPEN)
        .arg("--child.restart=on-failure")
        .fail_to_start()
        .expect_code(2);
}
