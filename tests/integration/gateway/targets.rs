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

/// A form may hold a target, and exporters in Go prefer it to that of the query.
#[test]
fn a_request_with_a_body_is_not_forwarded_where_targets_are_limited() {
    let exporter = Exporter::new();
    let guard = gateway(&format!(
        "- {{path: /b, upstreams: ['{exporter}'], paths: [/probe], methods: [GET, POST], \
         allowed_targets: [10.0.0.1]}}\n"
    ));
    let authorization = authorization(SCRAPER);
    let request = |method: &str, framing: &str, body: &str| {
        let head = format!("{method} /b/probe?target=10.0.0.1 HTTP/1.1\r\nHost: localhost\r\n");
        guard.connect().request(head + &authorization + framing + "\r\n" + body).status
    };
    let form = "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 15\r\n";
    let plain = "Content-Length: 15\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for method in ["POST", "GET"] {
        assert_eq!(request(method, form, "target=10.0.0.2"), 403, "{method}");
        assert_eq!(request(method, plain, "target=10.0.0.1"), 403, "{method}");
        let chunk = "f\r\ntarget=10.0.0.2\r\n0\r\n\r\n";
        assert_eq!(request(method, chunked, chunk), 403, "{method}");
    }
    assert!(exporter.requests().is_empty());
    assert_eq!(request("POST", "Content-Length: 0\r\n", ""), 200);
    assert_eq!(request("GET", "", ""), 200);
}

/// The same over HTTP/2, where a body has no field that announces it.
#[test]
fn a_body_without_a_length_counts_as_one() {
    let tls = ServerTls::new();
    let exporter = Exporter::new();
    let routes = format!(
        "- {{path: /b, upstreams: ['{exporter}'], paths: [/probe], allowed_targets: [10.0.0.1], \
         public_paths: [/-/healthy]}}\n"
    );
    let config = TLS.to_owned() + &with_routes(&routes);
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let mut client = Http2::connect(guard.port());
    let credentials = basic(SCRAPER.0, SCRAPER.1);
    let known = [("authorization", credentials.as_str())];
    assert!(!client.get_with_body("/b/probe", &known, &[b"target=10.0.0.2"]).ok);
    assert!(client.get("/b/probe?target=10.0.0.1", &known).ok);
    assert!(!client.get_with_body("/b/-/healthy", &[], &[b"x"]).ok);
    assert!(client.get("/b/-/healthy", &[]).ok);
    assert_eq!(asked(&exporter), ["/probe?target=10.0.0.1", "/-/healthy"]);
}
