//! `http_server_config.headers`: on every response, of the exporter and of the guard.

use crate::support::ports::Refusing;
use crate::support::*;

const HEADERS: &str = "\
http_server_config:
  headers:
    Content-Security-Policy: default-src 'self'
    X-Frame-Options: deny
    X-Content-Type-Options: nosniff
    X-XSS-Protection: 1; mode=block
    Strict-Transport-Security: max-age=31536000; includeSubDomains
";

const EXPECTED: [(&str, &str); 5] = [
    ("content-security-policy", "default-src 'self'"),
    ("x-frame-options", "deny"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
];

#[track_caller]
fn assert_configured(response: &Response) {
    for (name, value) in EXPECTED {
        assert_eq!(response.values(name), [value], "on a {}", response.status);
    }
}

#[test]
fn a_page_and_a_401_have_the_headers() {
    // The exporter's own do not stand beside them.
    let exporter = Exporter::answering(ok("X-Frame-Options: sameorigin\r\n", PAGE));
    let tls = ServerTls::new();
    let config = format!("{TLS}{HEADERS}{}", scraper());
    let builder = GuardBuilder::new().config(config).tls(&tls);
    let guard = builder.upstream(&exporter).start();
    let mut client = TlsClient::new().connect(guard.port());
    for response in [client.get_as(SCRAPER, "/"), client.get("/")] {
        assert_configured(&response);
    }
    let url = guard.url("/");
    let curl = || guard.curl().arg("--http2");
    assert_configured(&curl().user(SCRAPER).fetch(&url).response);
    assert_configured(&curl().fetch(&url).response);
}

#[test]
fn a_304_and_an_error_of_the_exporter_have_the_headers() {
    for answer in
        ["HTTP/1.1 304 Not Modified\r\n\r\n", "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"]
    {
        let exporter = Exporter::answering(answer);
        let guard = GuardBuilder::new().config(open(HEADERS)).upstream(&exporter).start();
        assert_configured(&guard.connect().get("/"));
    }
}

#[test]
fn a_429_has_the_headers() {
    let limit = yaml(
        "
        rate_limit:
          interval: 1h
          burst: 0
        ",
    );
    let guard = GuardBuilder::new().config(open(format!("{HEADERS}{limit}"))).start();
    let response = guard.connect().get("/");
    assert_eq!(response.status, 429);
    assert_configured(&response);
}

#[test]
fn a_502_and_a_504_have_the_headers() {
    let down = Refusing::new();
    let guard = GuardBuilder::new()
        .config(open(HEADERS))
        .upstream(format!("http://{}", down.address()))
        .start();
    let response = guard.connect().get("/");
    assert_eq!(response.status, 502);
    assert_configured(&response);

    let slow = ports::Unreachable::new();
    let limits = limits("connect_timeout: 1s");
    let guard = GuardBuilder::new()
        .config(open(format!("{HEADERS}{limits}")))
        .upstream(format!("http://{}", slow.address()))
        .start();
    let response = guard.connect().get("/");
    assert_eq!(response.status, 504);
    assert_configured(&response);
}

#[test]
fn no_header_is_added_that_is_not_configured() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let response = guard.connect().get("/");
    for (name, _) in EXPECTED {
        assert_eq!(response.header(name), None);
    }
}

#[test]
fn a_reload_changes_the_headers_for_the_next_request() {
    let guard = GuardBuilder::new().config(open(HEADERS)).start();
    let mut client = guard.connect();
    assert_configured(&client.get("/metrics"));
    guard.replace(
        "web.yml",
        open(yaml(
            "
            http_server_config:
              headers:
                X-Frame-Options: sameorigin
            ",
        )),
    );
    guard.wait_generation(2);
    let response = client.get("/metrics");
    assert_eq!(response.values("x-frame-options"), ["sameorigin"]);
    assert_eq!(response.header("strict-transport-security"), None);
}

#[test]
fn headers_with_unknown_names_or_values_stop_the_start() {
    for line in [
        "Server: x",
        "x-frame-options: deny",
        "X-Frame-Options: DENY",
        "X-Frame-Options: allow-from https://a",
        "X-Content-Type-Options: sniff",
        "Access-Control-Allow-Origin: '*'",
    ] {
        let config = yaml(&format!(
            "
            http_server_config:
              headers:
                {line}
            "
        ));
        let failed = GuardBuilder::new().config(config).fail_to_start();
        assert_eq!(failed.code, Some(1), "{line}: {failed}");
        assert!(failed.stderr.contains("web.yml:3"), "{line}: {failed}");
    }
}
