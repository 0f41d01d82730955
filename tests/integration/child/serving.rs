//! Ready is when the exporter answers; `healthcheck` asks.

use super::running;
use crate::support::*;

fn healthcheck(guard: &Guard) -> process::Finished {
    let address = format!("--telemetry.listen-address=127.0.0.1:{}", guard.telemetry_port());
    guard::run(guard.dir(), &["healthcheck", &address])
}

#[test]
fn the_guard_is_ready_only_when_the_exporter_answers() {
    let refusing = ports::Refusing::new();
    let address = refusing.address();
    let upstream = format!("http://{address}");
    let guard = running("exec sleep 1000").upstream(upstream).telemetry().start();
    assert_eq!(guard.telemetry().get("/-/ready").status, 503);
    assert_eq!(guard.telemetry().get("/-/healthy").status, 200);
    let unready = healthcheck(&guard).expect_code(1);
    assert!(unready.stderr.contains("not ready: 503"), "{unready}");
    assert_eq!(guard.connect().get("/metrics").status, 502);
    // Listening is not answering.
    let listener = refusing.listen();
    let (stream, _) = listener.accept().unwrap();
    assert_eq!(guard.telemetry().get("/-/ready").status, 503);
    drop(stream);
    let exporter = Exporter::on(listener, exporter::always(ok("", PAGE)));
    eventually("ready", || guard.telemetry().get("/-/ready").status == 200);
    healthcheck(&guard).expect_code(0);
    assert!(exporter.requests().iter().all(|request| request.target == "/"));
}

#[test]
fn without_a_child_the_guard_is_ready_at_once() {
    let guard = GuardBuilder::new().config(OPEN).telemetry().start();
    assert_eq!(guard.telemetry().get("/-/ready").status, 200);
    healthcheck(&guard).expect_code(0);
}

#[test]
fn healthcheck_fails_when_no_guard_listens() {
    let refusing = ports::Refusing::new();
    let address = format!("--telemetry.listen-address={}", refusing.address());
    let dir = tempfile::tempdir().unwrap();
    let finished = guard::run(dir.path(), &["healthcheck", &address]).expect_code(1);
    assert!(finished.stderr.contains("refused"), "{finished}");
}

#[test]
fn healthcheck_asks_over_a_unix_socket_too() {
    let dir = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/telemetry.sock", dir.path().display());
    let guard = GuardBuilder::new().config(OPEN).telemetry_at(&socket).start();
    let address = format!("--telemetry.listen-address={socket}");
    guard::run(guard.dir(), &["healthcheck", &address]).expect_code(0);
}
