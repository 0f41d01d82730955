//! `allowed_targets`: exporters that ask others (blackbox, snmp).

use super::*;

#[test]
fn only_listed_targets_are_probed() {
    let exporter = Exporter::new();
    let guard = gateway(&format!(
        "- {{path: /b, upstreams: ['{exporter}'], paths: [/probe, /metrics], \
         allowed_targets: ['https://a.example/?x=1', 10.0.0.1]}}\n"
    ));
    let allowed = [
        "/b/probe?target=10.0.0.1&module=icmp",
        "/b/probe?module=http_2xx&target=https%3A%2F%2Fa.example%2F%3Fx%3D1",
        "/b/metrics",
    ];
    for target in allowed {
        assert_eq!(status(&guard, target), 200, "{target}");
    }
    let inside: Vec<&str> = allowed.iter().map(|target| &target[2..]).collect();
    assert_eq!(asked(&exporter), inside, "the query passes as it is");
    for target in [
        "/b/probe?target=10.0.0.2",
        "/b/probe?target=10.0.0.1&target=10.0.0.2",
        "/b/probe?target=10.0.0.1;target=10.0.0.2",
        "/b/probe?target=10.0.0.1%00",
        "/b/probe?TARGET=10.0.0.2",
        "/b/probe?%74arget=10.0.0.2",
        "/b/probe?target=",
    ] {
        assert_eq!(status(&guard, target), 403, "{target}");
    }
    assert_eq!(exporter.requests().len(), 3);
}
