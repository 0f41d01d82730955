//! What the exporter may learn of a request, and what it must not.

use crate::support::*;

fn plain(exporter: &Exporter, config: &str) -> Guard {
    GuardBuilder::new().config(open(config)).upstream(exporter).start()
}

#[test]
fn credentials_never_reach_the_exporter() {
    let exporter = Exporter::new();
    let authorization = format!("authorization: {}\r\n", basic(SCRAPER.0, SCRAPER.1));
    let public = proxy("public_paths: [/-/healthy]");
    for (config, target) in [
        (scraper(), "/metrics"),
        // They were not asked for, and are not forwarded all the same.
        (OPEN.to_owned(), "/metrics"),
        (format!("{}{public}", scraper()), "/-/healthy"),
    ] {
        let guard = GuardBuilder::new().config(&config).upstream(&exporter).start();
        let response = guard.connect().request(get(target, &authorization));
        assert_eq!(response.status, 200, "{config}");
    }
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls);
    let guard = guard.upstream(&exporter).start();
    assert!(Http2::connect(guard.port()).get_as(SCRAPER, "/metrics").ok);

    let requests = exporter.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert!(!request.has("authorization"), "{request:#?}");
        assert!(!request.has("proxy-authorization"), "{request:#?}");
    }
}

/// RFC 9110 section 7.6.1, and the older names.
#[test]
fn hop_by_hop_fields_never_reach_the_exporter() {
    let exporter = Exporter::new();
    let guard = plain(&exporter, "");
    let response = guard.connect().request(get(
        "/metrics",
        "Connection: keep-alive, X-Private\r\n\
         Connection: x-other, Upgrade\r\n\
         Keep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\n\
         Proxy-Authorization: Basic YTpi\r\n\
         Proxy-Authenticate: Basic\r\n\
         TE: trailers\r\n\
         Trailer: X-Sum\r\n\
         Upgrade: h2c\r\n\
         X-Private: 1\r\n\
         X-Other: 2\r\n\
         X-End-To-End: 3\r\n",
    ));
    assert_eq!(response.status, 200);
    let request = exporter.request();
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "trailer",
        "upgrade",
        "x-private",
        "x-other",
    ] {
        assert!(!request.has(name), "{name} in {request:#?}");
    }
    assert!(request.values("connection").iter().all(|value| !value.contains("rivate")));
    assert_eq!(request.values("x-end-to-end"), ["3"]);
}

/// A client must not be able to take away what the guard says, or what frames the message, by
/// naming it in Connection.
#[test]
fn a_connection_field_cannot_remove_the_fields_of_the_guard() {
    let exporter = Exporter::new();
    let guard = plain(&exporter, "");
    let response = guard.connect().request(get(
        "/metrics",
        "Connection: close, Host, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host\r\n",
    ));
    // To refuse the attempt is as good.
    if response.status == 400 {
        assert_eq!(exporter.requests().len(), 0);
        return;
    }
    let request = exporter.request();
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.values("x-forwarded-proto"), ["http"]);
    assert_eq!(request.values("x-forwarded-host"), ["localhost"]);
    assert_eq!(request.values("host").len(), 1);
}

#[test]
fn forwarding_fields_of_clients_are_replaced() {
    let exporter = Exporter::new();
    let guard = plain(&exporter, "");
    let response = guard.connect().request(
        "GET /metrics HTTP/1.1\r\nHost: exporter.example:9443\r\n\
         X-Forwarded-For: 203.0.113.9\r\nx-forwarded-for: 203.0.113.10\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\n\
         X-Real-IP: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n\r\n",
    );
    assert_eq!(response.status, 200);
    let request = exporter.request();
    assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(request.values("x-forwarded-proto"), ["http"]);
    assert_eq!(request.values("x-forwarded-host"), ["exporter.example:9443"]);
    for (name, value) in &request.headers {
        assert!(!value.contains("203.0.113") && !value.contains("evil"), "{name}: {value}");
    }
}

#[test]
fn forwarding_fields_say_https_over_http1_and_http2() {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter).start();
    let mut client = TlsClient::new().connect(guard.port());
    assert_eq!(client.request(get("/", "X-Forwarded-Proto: http\r\n")).status, 200);
    let forged = [("x-forwarded-proto", "http"), ("x-forwarded-for", "203.0.113.9")];
    assert!(Http2::connect(guard.port()).get("/", &forged).ok);
    let requests = exporter.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.values("x-forwarded-for"), ["127.0.0.1"], "{request:#?}");
        assert_eq!(request.values("x-forwarded-proto"), ["https"], "{request:#?}");
        assert_eq!(request.values("x-forwarded-host"), ["localhost"], "{request:#?}");
        assert_eq!(request.values("host").len(), 1, "{request:#?}");
    }
}

/// A client could claim another address, user, URL or method in them.
#[test]
fn fields_that_proxies_and_frameworks_believe_do_not_reach_the_exporter() {
    const CLAIMS: [&str; 22] = [
        "x_forwarded_for",
        "x_remote_user",
        "remote_user",
        "remote-user",
        "x-remote-user",
        "x-remote-groups",
        "x-forwarded-user",
        "x-forwarded-prefix",
        "x-forwarded-ssl",
        "x-forwarded-uri",
        "x-forwarded-client-cert",
        "x-client-ip",
        "true-client-ip",
        "cf-connecting-ip",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-method-override",
        "x-auth-request-user",
        "ssl_client_cert",
        "ssl-client-verify",
        "x-ssl-client-s-dn",
    ];
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter).start();
    let fields: String = CLAIMS.iter().map(|name| format!("{name}: claimed\r\n")).collect();
    let kept = "X-Prometheus-Scrape-Timeout-Seconds: 10\r\nX-Scope-OrgID: kept\r\n";
    let mut client = TlsClient::new().connect(guard.port());
    assert_eq!(client.request(get("/", &format!("{fields}{kept}"))).status, 200);
    let claims: Vec<(&str, &str)> = CLAIMS.iter().map(|name| (*name, "claimed")).collect();
    let claims = [&claims[..], &[("x-scope-orgid", "kept")]].concat();
    assert!(Http2::connect(guard.port()).get("/", &claims).ok);
    let requests = exporter.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.values("x-scope-orgid"), ["kept"], "{request:#?}");
        assert!(request.headers.iter().all(|(_, value)| value != "claimed"), "{request:#?}");
    }
}

/// Python's http.server, for one, says `Connection` and `Keep-Alive`, which HTTP/2 forbids (RFC
/// 9113 section 8.2.2).
#[test]
fn hop_by_hop_fields_of_the_exporter_never_reach_the_client() {
    let exporter = Exporter::answering(ok(
        "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n",
        PAGE,
    ));
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(TLS).tls(&tls);
    let guard = builder.upstream(&exporter).start();
    let url = guard.url("/");
    for flag in ["--http1.1", "--http2"] {
        let fetched = guard.curl().arg(flag).fetch(&url);
        assert_eq!(fetched.response.text(), PAGE);
        for name in ["keep-alive", "proxy-connection"] {
            assert_eq!(fetched.response.header(name), None, "{flag}");
        }
    }
}

#[test]
fn end_to_end_fields_pass_both_ways() {
    let exporter = Exporter::answering(ok(
        "Content-Type: application/openmetrics-text; version=1.0.0\r\nSet-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\nX-Custom: caf\u{e9}\r\n",
        PAGE,
    ));
    let guard = plain(&exporter, "");
    let response = guard.connect().request(get(
        "/metrics",
        "Accept: application/openmetrics-text\r\nUser-Agent: Prometheus/2.42.0\r\n\
         X-Prometheus-Scrape-Timeout-Seconds: 10\r\nCookie: a=1\r\n",
    ));
    assert_eq!(response.values("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(
        response.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0")
    );
    assert_eq!(response.header("x-custom"), Some("caf\u{e9}"));
    let request = exporter.request();
    assert_eq!(request.values("accept"), ["application/openmetrics-text"]);
    assert_eq!(request.values("user-agent"), ["Prometheus/2.42.0"]);
    assert_eq!(request.values("x-prometheus-scrape-timeout-seconds"), ["10"]);
    assert_eq!(request.values("cookie"), ["a=1"]);
}
