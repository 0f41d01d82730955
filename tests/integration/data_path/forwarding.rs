//! A page comes through whole and untouched, over every kind of connection.

use crate::support::exporter::always;
use crate::support::*;

/// With TLS and one user.
fn guarded(exporter: &Exporter) -> (Guard, ServerTls) {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).upstream(exporter);
    (guard.start(), tls)
}

fn curl(guard: &Guard) -> Curl {
    guard.curl().user(SCRAPER)
}

fn url(guard: &Guard) -> String {
    guard.url("/metrics")
}

#[test]
fn a_page_comes_over_http1_and_http2() {
    let exporter = Exporter::new();
    let (guard, _tls) = guarded(&exporter);
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let fetched = curl(&guard).arg(flag).fetch(&url(&guard));
        assert_eq!(fetched.http_version, version);
        assert_eq!(fetched.response.status, 200);
        assert_eq!(fetched.response.text(), PAGE);
        assert_eq!(fetched.response.header("content-type"), Some("text/plain; version=0.0.4"));
    }
    for request in exporter.requests() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/metrics"));
        assert_eq!(request.version, "HTTP/1.1");
    }
}

#[test]
fn a_page_comes_over_plain_http1_when_tls_is_off() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let response = guard.connect().get_as(SCRAPER, "/metrics?collect[]=cpu&x=%20");
    assert_eq!((response.status, response.text().as_str()), (200, PAGE));
    assert_eq!(exporter.request().target, "/metrics?collect[]=cpu&x=%20");
}

#[test]
fn an_empty_configuration_is_a_plain_proxy() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    assert_eq!(guard.connect().get("/metrics").text(), PAGE);
}

/// Prometheus asks for gzip, and node_exporter gives it.
#[test]
fn an_encoded_body_passes_byte_for_byte() {
    // No gzip at all: decoding it would fail.
    let body: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let exporter = Exporter::answering(ok("Content-Encoding: gzip\r\nVary: x\r\n", &body));
    let (guard, tls) = guarded(&exporter);
    for flag in ["--http1.1", "--http2"] {
        let curl = curl(&guard).arg(flag).arg("--header").arg("Accept-Encoding: gzip");
        let response = curl.fetch(&url(&guard)).response;
        assert_eq!(response.header("content-encoding"), Some("gzip"));
        assert!(response.body == body, "body changed over {flag}");
    }
    for request in exporter.requests() {
        assert_eq!(request.values("accept-encoding"), ["gzip"]);
    }
    let response = TlsClient::new().trust(&tls.ca).connect(guard.port()).get_as(SCRAPER, "/");
    assert_eq!(response.header("content-length"), Some("70000"));
}

#[test]
fn a_page_without_encoding_is_not_compressed() {
    let exporter = Exporter::answering(ok("Content-Type: text/plain\r\n", PAGE.repeat(1000)));
    let (guard, _tls) = guarded(&exporter);
    let curl = curl(&guard).arg("--header").arg("Accept-Encoding: gzip");
    let response = curl.fetch(&url(&guard)).response;
    assert_eq!(response.header("content-encoding"), None);
    assert_eq!(response.text(), PAGE.repeat(1000));
}

#[test]
fn pages_of_the_real_node_exporter_pass() {
    let exporter = real::NodeExporter::new();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).upstream(exporter.url()).start();
    for flag in ["--http1.1", "--http2"] {
        let plain = curl(&guard).arg(flag).fetch(&url(&guard)).response;
        assert_eq!(plain.status, 200);
        assert!(plain.text().contains("\nnode_cpu_seconds_total{"), "{}", plain.text());
        let unpacked = curl(&guard).arg(flag).arg("--compressed").fetch(&url(&guard)).response;
        assert_eq!(unpacked.header("content-encoding"), Some("gzip"));
        assert!(unpacked.text().contains("\nnode_cpu_seconds_total{"), "{}", unpacked.text());
    }
}

#[test]
fn connections_to_the_exporter_are_used_again() {
    let exporter = Exporter::new();
    let (guard, _tls) = guarded(&exporter);
    let client = TlsClient::new();
    for _ in 0..2 {
        let mut connection = client.connect(guard.port());
        for _ in 0..3 {
            assert_eq!(connection.get_as(SCRAPER, "/metrics").status, 200);
        }
    }
    let mut http2 = Http2::begin(client.alpn(tls::H2_AND_HTTP1).connect(guard.port()));
    for _ in 0..3 {
        assert!(http2.get_as(SCRAPER, "/metrics").ok);
    }
    assert_eq!(exporter.requests().len(), 9);
    // An HTTP/2 answer may be out just before its connection is back in the pool.
    assert!(exporter.connections() <= 2, "{} connections for 9 requests", exporter.connections());
}

/// The exporter closes an idle connection just when it is used again: RFC 9110 section 9.2.2 lets
/// a GET be sent again, and a scrape must not fail for it.
#[test]
fn an_exporter_that_was_restarted_costs_no_request() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let mut client = guard.connect();
    for _ in 0..5 {
        assert_eq!(client.get("/metrics").status, 200);
        exporter.hang_up();
    }
}

#[test]
fn an_exporter_that_closes_after_each_answer_is_served() {
    let exporter = Exporter::scripted(|_, out| {
        out.write_all(&ok("Connection: close\r\n", PAGE))?;
        Ok(Next::Close)
    });
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let mut client = guard.connect();
    for _ in 0..3 {
        let response = client.get("/metrics");
        assert_eq!((response.status, response.text().as_str()), (200, PAGE));
        assert!(
            !response.values("connection").contains(&"close"),
            "the end of the exporter's connection does not concern the scraper"
        );
    }
    assert_eq!(exporter.connections(), 3);
}

#[test]
fn the_exporter_may_be_on_a_unix_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exporter.sock");
    let exporter = Exporter::on_unix(&path, always(ok("", PAGE)));
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let mut client = guard.connect();
    for _ in 0..3 {
        assert_eq!(client.get_as(SCRAPER, "/metrics").text(), PAGE);
    }
    assert_eq!(exporter.connections(), 1);
}

#[test]
fn errors_of_the_exporter_pass_unchanged() {
    let exporter = Exporter::answering(
        "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nbusy\n",
    );
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let response = guard.connect().get("/metrics");
    assert_eq!((response.status, response.text().as_str()), (503, "busy\n"));
    assert_eq!(response.header("retry-after"), Some("7"));
}

#[test]
fn a_guard_listens_on_several_addresses_and_on_a_unix_socket() {
    let exporter = Exporter::new();
    let builder = GuardBuilder::new().config(scraper()).upstream(&exporter);
    let socket = builder.path("guard.sock");
    let guard = builder.arg(format!("--web.listen-address=unix:{}", socket.display())).start();
    let listening = |line: &str| logfmt::field(line, "msg") == "Listening on";
    guard.wait_stderr("the second listener", 2, listening);
    assert_eq!(guard.connect().get_as(SCRAPER, "/").text(), PAGE);
    let mut client = Client::unix(&socket).unwrap();
    assert_eq!(client.get("/").status, 401);
    assert_eq!(client.get_as(SCRAPER, "/").text(), PAGE);
    assert!(!exporter.requests()[1].has("x-forwarded-for"), "a unix socket has no address");
}
