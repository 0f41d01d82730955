//! `--child.restart=on-failure`.

use super::{child_of, running};
use crate::support::*;

/// Answers on the address given in `ADDRESS` until it is killed.
fn real_exporter(address: &str) -> GuardBuilder {
    let listen = format!("--web.listen-address={address}");
    GuardBuilder::new()
        .config("")
        .upstream(format!("http://{address}"))
        .telemetry()
        .child(&["prometheus-node-exporter", &listen])
}

/// A loopback address that no other test uses, so that the exporter can have a port of its choice.
fn own_address(last: u8) -> String {
    let [high, low] = [(std::process::id() >> 8) as u8, std::process::id() as u8];
    format!("127.{high}.{low}.{last}:9100")
}

#[test]
fn an_exporter_that_fails_is_started_again() {
    let address = own_address(2);
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
fn meanwhile_the_answer_is_502_and_not_ready() {
    // Works once, then fails until the test says otherwise.
    let address = own_address(3);
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
fn the_delay_grows() {
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
fn success_is_no_failure() {
    let finished = running("exit 0").arg("--child.restart=on-failure").fail_to_start();
    finished.expect_code(0);
}

#[test]
fn told_to_stop_between_two_starts_it_ends_as_the_last_one() {
    let mut guard = running("exit 17").arg("--child.restart=on-failure").start();
    guard.wait_stderr("a delay", 3, |line| line.contains("Starting the exporter again"));
    guard.signal(libc::SIGTERM);
    assert_eq!(guard.process().wait_exit().code(), Some(17));
}

#[test]
fn restart_without_a_command_is_a_usage_error() {
    GuardBuilder::new().config("").arg("--child.restart=on-failure").fail_to_start().expect_code(2);
}
