//! `proxy.public_paths`: exact, and nothing that only looks like one.

use crate::support::*;

#[test]
fn a_path_is_public_only_when_it_matches_exactly() {
    let exporter = Exporter::new();
    let config = scraper() + &proxy("public_paths: [/-/healthy, /ready]");
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    for target in ["/-/healthy", "/ready"] {
        assert_eq!(guard.connect().get(target).text(), PAGE, "{target}");
    }
    for target in [
        "/",
        "/metrics",
        "/-/",
        "/-/healthy/",
        "//-/healthy",
        "/-//healthy",
        "/-/Healthy",
        "/-/healthyz",
        "/-/health",
        "/-/healthy/../../metrics",
        "/./-/healthy",
        "/x/../-/healthy",
        "/-/healthy/..",
        "/-/healthy%2f..%2f..%2fmetrics",
        "/%2d/healthy",
        "/-/healthy%00",
        "/-/healthy%20",
        "/-/healthy;x",
        "/-/healthy,/metrics",
        "/metrics?/-/healthy",
        "/metrics#/-/healthy",
        "/metrics;/-/healthy",
        "\\-\\healthy",
    ] {
        let mut client = guard.connect();
        client.send(get(target, ""));
        let status = client.head().status;
        assert!(status == 401 || status == 400, "{target}: {status}");
    }
    let reached: Vec<String> = exporter.requests().into_iter().map(|r| r.target).collect();
    assert_eq!(reached, ["/-/healthy", "/ready"]);
}

/// What changes something, or brings something along, is judged like any other request.
#[test]
fn a_public_path_is_public_for_get_and_head_without_a_body() {
    let exporter = Exporter::new();
    let config = scraper() + &proxy("public_paths: [/-/healthy]");
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    let ask = |method: &str, more: &str, body: &str| {
        let mut client = guard.connect();
        client.send(format!("{method} /-/healthy HTTP/1.1\r\nHost: a\r\n{more}\r\n{body}"));
        client.head().status
    };
    let none = "Content-Length: 0\r\n";
    assert_eq!([ask("GET", "", ""), ask("HEAD", "", ""), ask("GET", none, "")], [200; 3]);
    assert_eq!(exporter.requests().len(), 3);
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE", "get"] {
        assert_eq!(ask(method, none, ""), 401, "{method}");
    }
    for method in ["GET", "HEAD", "POST"] {
        assert_eq!(ask(method, "Content-Length: 1\r\n", "x"), 401, "{method}");
        let chunked = ask(method, "Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n");
        assert_eq!(chunked, 401, "{method}");
    }
    assert_eq!(exporter.requests().len(), 3);
    assert_eq!(ask("POST", &(authorization(SCRAPER) + none), ""), 200, "with credentials");
}

#[test]
fn a_public_path_is_public_with_wrong_credentials_too() {
    let exporter = Exporter::new();
    let config = scraper() + &proxy("public_paths: [/-/healthy]");
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    assert_eq!(guard.connect().get_as(("x", "y"), "/-/healthy").status, 200);
    assert!(!exporter.request().has("authorization"));
}

/// The handshake asks without insisting; every other request insists.
#[test]
fn a_public_path_needs_no_client_certificate_and_everything_else_does() {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let clients = Authority::new("clients");
    for users in [String::new(), scraper()] {
        let public = proxy("public_paths: [/-/healthy]");
        let config = [TLS, VERIFIED_CLIENTS, &users, &public].concat();
        let builder =
            GuardBuilder::new().config(config).tls(&tls).file("clients.crt", clients.pem());
        let guard = builder.upstream(&exporter).start();
        let mut anonymous = TlsClient::new().connect(guard.port());
        assert_eq!(anonymous.get("/-/healthy").status, 200);
        let refused = anonymous.get_as(SCRAPER, "/metrics");
        assert_eq!(refused.status, 421, "{refused:?}");
        let known = TlsClient::new().identity(&clients.issue(&Leaf::client()));
        assert_eq!(known.connect(guard.port()).get_as(SCRAPER, "/metrics").status, 200);
        // Of another CA.
        let other = Authority::new("others").issue(&Leaf::client());
        assert!(TlsClient::new().identity(&other).try_get(guard.port(), "").is_err());
    }
}

#[test]
fn paths_that_programs_read_differently_cannot_be_public() {
    for path in ["healthy", "''", "/a/../b", "/a//b", "/%2d/healthy", "/a?b", "/a;b"] {
        let config = scraper()
            + &proxy(&format!(
                "
                public_paths:
                  - '{}'
                ",
                path.trim_matches('\'')
            ));
        let failed = GuardBuilder::new().config(config).fail_to_start();
        assert_eq!(failed.code, Some(1), "{path}: {failed}");
        assert!(failed.stderr.contains("web.yml:5"), "{path}: {failed}");
    }
}
