//! Several upstreams of one route.

use std::time::Duration;

use super::*;
use crate::support::process::eventually_within;

#[test]
fn the_next_replica_is_asked_when_one_cannot_be_reached() {
    let refusing = ports::Refusing::new();
    let address = refusing.address();
    let second = Exporter::new();
    let guard = gateway(&format!("- {{path: /a, upstreams: ['http://{address}', '{second}']}}\n"));
    for _ in 0..3 {
        assert_eq!(status(&guard, "/a/metrics"), 200);
    }
    assert_eq!(second.requests().len(), 3);
    let is_down = |line: &str| logfmt::field(line, "msg") == "Upstream is down";
    guard.wait_log("that it is down", is_down);
    assert_eq!(guard.stderr().iter().filter(|line| is_down(line)).count(), 1, "it is left alone");

    // It is back, and the first choice again.
    let first = Exporter::on(refusing.listen(), exporter::always(ok("", PAGE)));
    eventually_within(Duration::from_secs(30), "the first one is asked", || {
        assert_eq!(status(&guard, "/a/metrics"), 200);
        !first.requests().is_empty()
    });
    let before = second.requests().len();
    assert_eq!(status(&guard, "/a/metrics"), 200);
    assert_eq!(second.requests().len(), before);
}

#[test]
fn without_a_reachable_replica_the_answer_is_502() {
    let [one, two] = [ports::Refusing::new(), ports::Refusing::new()].map(|port| port.address());
    let guard = gateway(&format!("- {{path: /a, upstreams: ['http://{one}', 'http://{two}']}}\n"));
    for _ in 0..3 {
        assert_eq!(status(&guard, "/a/metrics"), 502);
    }
}

/// What an exporter has begun to answer is not asked of another.
#[test]
fn an_error_of_an_exporter_is_not_retried_elsewhere() {
    let broken = Exporter::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let second = Exporter::new();
    let guard = gateway(&format!("- {{path: /a, upstreams: ['{broken}', '{second}']}}\n"));
    assert_eq!(status(&guard, "/a/metrics"), 500);
    assert_eq!(second.requests().len(), 0);
}
