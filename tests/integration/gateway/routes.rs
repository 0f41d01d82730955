//! Which exporter is asked, and for what.

use openssl::ssl::SslVersion;

use super::*;

#[test]
fn the_longest_path_wins_and_is_stripped() {
    let [root, node, deep] = [Exporter::new(), Exporter::new(), Exporter::new()];
    let guard = gateway(&format!(
        "
        - {{name: root, path: /, upstreams: ['{root}']}}
        - {{path: /node, upstreams: ['{node}'], paths: [/metrics, /x]}}
        - {{path: /node/deep, upstreams: ['{deep}'], paths: [/metrics, /]}}
        "
    ));
    for target in
        ["/metrics?a=b", "/node/metrics?a=b&c", "/node/x", "/node/deep/metrics", "/node/deep"]
    {
        assert_eq!(status(&guard, target), 200, "{target}");
    }
    assert_eq!(asked(&root), ["/metrics?a=b"]);
    assert_eq!(asked(&node), ["/metrics?a=b&c", "/x"]);
    assert_eq!(asked(&deep), ["/metrics", "/"]);
    // Whole segments: this is the first one's, which has no such path.
    assert_eq!(status(&guard, "/nodes/metrics"), 404);
}

#[test]
fn a_path_is_kept_when_strip_path_is_false() {
    let exporter = Exporter::new();
    let guard =
        gateway(&format!("- {{path: /app, strip_path: false, upstreams: ['{exporter}']}}\n"));
    assert_eq!(status(&guard, "/app/metrics"), 200);
    assert_eq!(asked(&exporter), ["/app/metrics"]);
}

#[test]
fn hosts_come_before_paths() {
    let [any, one] = [Exporter::new(), Exporter::new()];
    let guard = gateway(&format!(
        "
        - {{name: any, path: /, upstreams: ['{any}'], paths: [/metrics, /a]}}
        - {{hosts: [One.Example, '[::1]'], path: /, upstreams: ['{one}']}}
        "
    ));
    let get = |host: &str, target: &str| {
        let login = authorization(SCRAPER);
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{login}\r\n");
        guard.connect().request(request).status
    };
    for host in ["one.example", "ONE.example:9443", "one.example.", "[::1]:80"] {
        assert_eq!(get(host, "/metrics"), 200, "{host}");
    }
    assert_eq!(asked(&one).len(), 4);
    for host in ["two.example", "one.example.org", "", "127.0.0.1:1"] {
        assert_eq!(get(host, "/metrics"), 200, "{host}");
    }
    assert_eq!(asked(&any).len(), 4);
    // The host has a route for it, which has no such path.
    assert_eq!(get("one.example", "/a"), 404);
    assert_eq!(get("http://one.example", "/metrics"), 400);
}

/// What the connection was opened for counts where the request names nothing that there is a route
/// for.
#[test]
fn the_server_name_of_tls_selects_a_route_like_a_host() {
    let [any, one, two] = [Exporter::new(), Exporter::new(), Exporter::new()];
    let tls = ServerTls::new();
    let config = with_routes(&format!(
        "
        - {{name: any, path: /, upstreams: ['{any}']}}
        - {{hosts: [one.example], path: /, upstreams: ['{one}']}}
        - {{hosts: [two.example], path: /, upstreams: ['{two}']}}
        "
    ));
    let guard = GuardBuilder::new().config(format!("{TLS}{config}")).tls(&tls).start();
    let authorization = authorization(SCRAPER);
    let counts = || [&any, &one, &two].map(|exporter| asked(exporter).len());
    let reached = |client: &TlsClient, host: &str| {
        let before = counts();
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
        assert_eq!(client.connect(guard.port()).request(request).status, 200, "{host}");
        let after = counts();
        let is_asked = |index: &usize| after[*index] > before[*index];
        ["any", "one", "two"][(0..3).find(is_asked).expect("an exporter")]
    };
    assert_eq!(reached(&TlsClient::new(), "gateway"), "any");
    assert_eq!(reached(&TlsClient::new().server_name("three.example"), "gateway"), "any");
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let named = TlsClient::new().version(version).server_name("One.Example");
        assert_eq!(reached(&named, "gateway"), "one");
        assert_eq!(reached(&named, "two.example"), "two", "the host comes first");
        let session = named.last_session().expect("a session");
        assert_eq!(reached(&named.resume(session), "gateway"), "one", "{version:?}, resumed");
    }
}

#[test]
fn over_http2_the_authority_is_the_host() {
    let [any, one] = [Exporter::new(), Exporter::new()];
    let tls = ServerTls::new();
    let config = with_routes(&format!(
        "
        - {{name: any, path: /, upstreams: ['{any}']}}
        - {{hosts: [localhost], path: /, upstreams: ['{one}']}}
        "
    ));
    let guard = GuardBuilder::new().config(format!("{TLS}{config}")).tls(&tls).start();
    assert!(Http2::connect(guard.port()).get_as(SCRAPER, "/metrics").ok);
    assert_eq!((asked(&any).len(), asked(&one).len()), (0, 1));
}

#[test]
fn only_named_methods_and_paths_are_forwarded() {
    let exporter = Exporter::new();
    let guard = gateway(&format!(
        "
        - {{path: /a, upstreams: ['{exporter}']}}
        - {{path: /b, upstreams: ['{exporter}'], methods: [GET, POST], paths: ['/api/*']}}
        "
    ));
    let ask = |method: &str, target: &str| {
        let more = authorization(SCRAPER) + "Content-Length: 0\r\n";
        let request = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n{more}\r\n");
        let mut client = guard.connect();
        client.send(request);
        if method == "HEAD" { client.head() } else { client.response() }
    };
    for (method, target, status) in [
        ("GET", "/a/metrics", 200),
        ("HEAD", "/a/metrics", 200),
        ("POST", "/a/metrics", 405),
        ("DELETE", "/a/metrics", 405),
        ("GET", "/a/", 404),
        ("GET", "/a", 404),
        ("GET", "/a/debug/pprof/", 404),
        ("GET", "/a/-/reload", 404),
        ("GET", "/b/metrics", 404),
        ("POST", "/b/api/v1/write", 200),
        ("GET", "/b/api/", 200),
        ("GET", "/b/api", 404),
        ("HEAD", "/b/api/", 405),
    ] {
        assert_eq!(ask(method, target).status, status, "{method} {target}");
    }
    assert_eq!(ask("PUT", "/b/api/x").header("allow"), Some("GET, POST"));
}

/// Those of others go on, whatever happens to the rest.
#[test]
fn routes_are_added_and_removed_by_a_reload() {
    let [one, two] = [Exporter::new(), Exporter::new()];
    let first = format!("- {{path: /one, upstreams: ['{one}']}}\n");
    let second = format!("- {{path: /two, upstreams: ['{two}']}}\n");
    let guard = gateway(&first);
    let mut kept = guard.connect();
    assert_eq!(kept.get_as(SCRAPER, "/one/metrics").status, 200);
    assert_eq!(kept.get_as(SCRAPER, "/two/metrics").status, 404);
    guard.replace("web.yml", with_routes(&[&*first, &*second].concat()));
    guard.wait_generation(2);
    assert_eq!(kept.get_as(SCRAPER, "/two/metrics").status, 200);
    assert_eq!(kept.get_as(SCRAPER, "/one/metrics").status, 200);
    guard.replace("web.yml", with_routes(&second));
    guard.wait_generation(3);
    assert_eq!(kept.get_as(SCRAPER, "/one/metrics").status, 404);
    assert_eq!(kept.get_as(SCRAPER, "/two/metrics").status, 200);
    assert_eq!((one.connections(), two.connections()), (1, 1), "connections to exporters are kept");
}

#[test]
fn one_bad_route_refuses_the_file() {
    let exporter = Exporter::new();
    let good = format!("- {{path: /one, upstreams: ['{exporter}']}}\n");
    let guard = gateway(&good);
    guard.replace(
        "web.yml",
        with_routes(&format!("{good}  - {{path: /two, upstreams: [nowhere]}}\n")),
    );
    guard.wait_failed_reload(1);
    assert_eq!(status(&guard, "/one/metrics"), 200);
}

#[test]
fn a_unix_socket_serves_as_upstream() {
    let dir = tempfile::tempdir().unwrap();
    let exporter = Exporter::on_unix(&dir.path().join("e.sock"), exporter::always(ok("", PAGE)));
    let guard = gateway(&format!("- {{path: /a, upstreams: ['{exporter}']}}\n"));
    assert_eq!(status(&guard, "/a/metrics"), 200);
}

#[test]
fn a_failure_names_the_route_and_nothing_else() {
    let refusing = ports::Refusing::new();
    let address = refusing.address();
    let guard = gateway(&format!("- {{name: disk, path: /a, upstreams: ['http://{address}']}}\n"));
    let answer = guard.connect().get_as(SCRAPER, "/a/metrics");
    assert_eq!(answer.status, 502);
    assert_eq!(answer.text(), "Bad Gateway: the exporter of route disk is not reachable\n");
    guard.wait_log("the failure", |line| {
        logfmt::field(line, "msg") == "Upstream failed"
            && logfmt::field(line, "route") == "disk"
            && logfmt::field(line, "upstream") == format!("http://{address}")
    });
}

/// What the exporter answers is passed on as it is.
#[test]
fn a_status_of_the_exporter_passes_unchanged() {
    let exporter = Exporter::answering("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    let guard = gateway(&format!("- {{path: /a, upstreams: ['{exporter}']}}\n"));
    let answer = guard.connect().get_as(SCRAPER, "/a/metrics");
    assert_eq!((answer.status, answer.text().as_str()), (503, "busy"));
}
