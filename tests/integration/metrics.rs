//! The metrics as Prometheus and promtool read them, and who can make a series.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use exporter_guard::observe::metrics::{Family, catalogue};

use crate::support::process::Finished;
use crate::support::*;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `printf %s correct-horse-battery-staple | sha256sum`
const TOKEN: &str = "Authorization: Bearer correct-horse-battery-staple\r\n";
const TOKEN_SHA256: &str = "87cbebfeebc05f7c54ac9336c4b4bbec831227a641951a4bde7edd56020f8590";

/// Users with names that need escapes, a token, certificate names, and two routes, one to the metrics
/// themselves.
fn everything(exporter: &Exporter) -> String {
    let mut config = TLS.to_owned();
    config += "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: clients.crt\n";
    config += &users(&[("scraper", &quick_hash(SCRAPER.1)), ("ä \"b\\c", &quick_hash("x"))]);
    config += &proxy(&yaml(&format!(
        "
        tokens: {{ci: sha256:{TOKEN_SHA256}}}
        routes:
          - {{name: own, path: /own, strip_path: true, upstreams: [self], access: [{{users: [scraper]}}], paths: [/metrics]}}
          - name: node
            path: /node
            strip_path: true
            upstreams: [{}]
            access: [{{users: [scraper]}}, {{tokens: [ci]}}, {{client_names: [a.example, b.example]}}]
            paths: [/metrics]
        ",
        exporter
    )));
    config
}

/// A guard with [`everything`], after one request of each kind.
fn busy() -> (Guard, Exporter) {
    let exporter = Exporter::new();
    let (tls, clients) = (ServerTls::new(), Authority::new("clients"));
    let guard = GuardBuilder::new()
        .config(everything(&exporter))
        .tls(&tls)
        .file("clients.crt", clients.pem())
        .telemetry()
        .start();
    let port = guard.port();
    let mut client = TlsClient::new().connect(port);
    assert_eq!(client.get_as(SCRAPER, "/own/metrics").status, 200);
    assert_eq!(client.get_as(SCRAPER, "/node/metrics").status, 200);
    assert_eq!(client.get_as(SCRAPER, "/node/other").status, 404);
    assert_eq!(client.get("/node/metrics").status, 401);
    assert_eq!(client.request(get("/node/metrics", TOKEN)).status, 200);
    let leaf = Leaf::client().sans(&[San::Dns("z.example"), San::Dns("b.example")]);
    let identity = clients.issue(&leaf);
    let answer = TlsClient::new().identity(&identity).connect(port).get("/node/metrics");
    assert_eq!(answer.status, 200);
    Client::plain(port).send("GET / HTTP/1.1\r\n\r\n");
    let failed =
        "exporter_guard_handshake_failures_total{reason=\"HTTP request to an HTTPS port\"}";
    eventually("the failed handshake", || guard.metric(failed) >= 1.0);
    let answered = "exporter_guard_http_requests_total{code=\"200\"}";
    eventually("the last request", || guard.metric(answered) >= 4.0);
    (guard, exporter)
}

fn page_as(guard: &Guard, accept: &str) -> (String, String) {
    let accept = format!("Accept: {accept}\r\n");
    let response = guard.telemetry().request(get("/metrics", &accept));
    assert_eq!(response.status, 200);
    (response.header("content-type").expect("a type").to_owned(), response.text())
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let (guard, _exporter) = busy();
    let page = guard.telemetry().get("/metrics").text();
    let mut promtool = process::command("promtool");
    let said = Finished::run(promtool.args(["check", "metrics"]), guard.dir(), page.as_bytes());
    let said = said.expect_code(0);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""), "{page}");
}

#[test]
fn the_format_is_the_one_that_the_client_asks_for() {
    let guard = GuardBuilder::new().config(scraper()).telemetry().start();
    let response = guard.telemetry().get("/metrics");
    assert_eq!(response.header("content-type"), Some(TEXT));
    assert!(response.text().contains("# TYPE exporter_guard_connections_total counter\n"));
    assert!(!response.text().contains("# EOF"));
    let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
                        text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
    let (kind, page) = page_as(&guard, prometheus_3);
    assert_eq!(kind, OPEN_METRICS);
    assert!(page.contains("# TYPE exporter_guard_connections counter\n"), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
    assert_eq!(page_as(&guard, "application/openmetrics-text;q=0.1,text/plain").0, TEXT);
    // Behind the guard's own authentication, too.
    let head = format!("Accept: {prometheus_3}\r\n{}", authorization(SCRAPER));
    let guarded = guard.connect().request(get("/metrics", &head));
    assert_eq!(guarded.header("content-type"), Some(OPEN_METRICS), "{guarded:?}");
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").header("content-type"), Some(TEXT));
}

/// With the sandbox on, in which the serving threads can open no file.
#[test]
fn the_process_metrics_are_served_from_inside_the_sandbox() {
    let guard = GuardBuilder::new().config(OPEN).telemetry().start();
    guard.wait_message("Entered the sandbox");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let started = guard.metric("process_start_time_seconds");
    assert!((started - now).abs() < 600.0, "{started} {now}");
    assert!(guard.metric("process_resident_memory_bytes") > 1e6);
    let resident = guard.metric("process_resident_memory_bytes");
    assert!(guard.metric("process_virtual_memory_bytes") > resident);
    assert!(guard.metric("process_max_fds") >= guard.metric("process_open_fds"));
    let before = guard.metric("process_open_fds");
    let counted = fs::read_dir(format!("/proc/{}/fd", guard.id())).unwrap().count();
    assert!((4.0..=counted as f64 + 4.0).contains(&before), "{before} {counted}");
    let _held: Vec<Client> = (0..20).map(|_| guard.connect()).collect();
    eventually("descriptors of connections", || guard.metric("process_open_fds") >= before + 15.0);
    eventually("a tick of the processor's time", || {
        guard.metric("process_cpu_seconds_total") > 0.0
    });
}

#[test]
fn the_build_is_known() {
    let guard = GuardBuilder::new().config(OPEN).telemetry().start();
    let page = guard.telemetry().get("/metrics").text();
    let line = page.lines().find(|line| line.starts_with("exporter_guard_build_info{")).unwrap();
    let of = |label: &str| {
        let (_, rest) = line.split_once(&format!("{label}=\"")).expect(label);
        rest.split_once('"').expect("an end").0.to_owned()
    };
    assert_eq!(of("version"), env!("CARGO_PKG_VERSION"));
    assert!(of("rustc").starts_with("1."), "{line}");
    assert!(of("openssl").starts_with("OpenSSL 3"), "{line}");
    let revision = of("revision");
    assert!(revision == "unknown" || revision.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
}

#[test]
fn requests_and_callers_are_counted_by_the_names_of_the_configuration() {
    let (guard, exporter) = busy();
    let metric = |series: &str| guard.metric(&format!("exporter_guard_{series}"));
    let address = guard.address("web");
    let listener = "listener=\"127.0.0.1:0\"";
    let page = guard.telemetry().get("/metrics").text();
    assert!(page.contains(listener) || page.contains(&address), "{page}");
    let ok = "http_requests_total{route=\"node\",method=\"GET\",code=\"200\"}";
    assert_eq!(metric(ok), 3.0);
    assert_eq!(metric("http_requests_total{route=\"node\",code=\"404\"}"), 1.0);
    assert_eq!(metric("http_requests_total{route=\"node\",code=\"401\"}"), 1.0);
    assert_eq!(metric("http_request_duration_seconds_count{route=\"node\"}"), 5.0);
    assert_eq!(metric("upstream_request_duration_seconds_count{route=\"node\"}"), 3.0);
    assert_eq!(metric("upstream_up{route=\"node\"}"), 1.0);
    assert!(metric("http_response_body_bytes_total{route=\"node\"}") > 0.0);
    assert_eq!(metric("http_requests_in_flight"), 0.0);
    assert_eq!(metric("caller_requests_total{kind=\"user\",name=\"scraper\"}"), 2.0);
    assert_eq!(metric("caller_requests_total{kind=\"token\",name=\"ci\"}"), 1.0);
    assert_eq!(metric("caller_requests_total{kind=\"certificate\",name=\"b.example\"}"), 1.0);
    assert_eq!(metric("caller_requests_total{kind=\"certificate\",name=\"a.example\"}"), 0.0);
    let seen = metric("caller_last_success_timestamp_seconds{kind=\"token\",name=\"ci\"}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - seen).abs() < 600.0, "{seen}");
    assert_eq!(metric("authentications_total{result=\"no credentials\"}"), 1.0);
    assert!(metric("authentications_total{result=\"success\"}") >= 5.0);
    assert_eq!(metric("verifier_checks_total"), 1.0);
    assert_eq!(metric("credential_cache_hits_total"), 3.0, "two passwords and a token");
    assert_eq!(metric("handshakes_total{version=\"TLSv1.3\",resumed=\"false\"}"), 2.0);
    assert_eq!(metric("connections_limit"), 8192.0);
    assert_eq!(metric("connections_per_address_limit"), 2048.0);
    let not_after = "certificate_not_after_timestamp_seconds";
    for usage in ["server", "client_ca"] {
        let series = format!("{not_after}{{use=\"{usage}\"}}");
        assert!(metric(&series) > now, "{series}");
    }
    assert!(page.contains("name=\"ä \\\"b\\\\c\""), "names are escaped: {page}");
    // What a reload removes has no series any more; what it leaves goes on.
    let reduced =
        everything(&exporter).replace("{tokens: [ci]}, ", "").replace("name: node", "name: n2");
    let reduced = reduced.replace(&format!("tokens: {{ci: sha256:{TOKEN_SHA256}}}"), "tokens: {}");
    guard.replace("web.yml", reduced);
    assert_eq!(guard.reload().status, 200);
    let page = guard.telemetry().get("/metrics").text();
    assert!(!page.contains("route=\"node\"") && !page.contains("name=\"ci\""), "{page}");
    assert_eq!(metric("caller_requests_total{kind=\"user\",name=\"scraper\"}"), 2.0);
    assert_eq!(metric("http_requests_total{route=\"own\"}"), 1.0);
}

#[test]
fn an_upstream_that_cannot_be_reached_is_not_up() {
    let down = ports::Refusing::new();
    let url = format!("http://{}", down.address());
    let guard = GuardBuilder::new().config(OPEN).upstream(&url).telemetry().start();
    let page = guard.telemetry().get("/metrics").text();
    assert!(!page.contains("exporter_guard_upstream_up{"), "not tried: {page}");
    assert_eq!(guard.connect().get("/metrics").status, 502);
    let series = format!("exporter_guard_upstream_up{{route=\"default\",upstream=\"{url}\"}}");
    assert_eq!(guard.metric(&series), 0.0);
}

#[test]
fn resumed_handshakes_and_failed_ones_are_told_apart() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).telemetry().start();
    let client = TlsClient::new();
    assert_eq!(client.connect(guard.port()).get("/metrics").status, 200);
    let session = client.last_session().expect("a ticket");
    let again = TlsClient::new().resume(session);
    assert_eq!(again.connect(guard.port()).get("/metrics").status, 200);
    let resumed = |resumed: bool| {
        guard.metric(&format!("exporter_guard_handshakes_total{{resumed=\"{resumed}\"}}"))
    };
    assert_eq!((resumed(false), resumed(true)), (1.0, 1.0));
    let failures = || guard.metric("exporter_guard_handshake_failures_total");
    assert_eq!(failures(), 0.0, "the reasons are there before the first failure");
    Client::plain(guard.port()).send([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]);
    eventually("the failure", || failures() == 1.0);
}

/// Nothing of a client's own making becomes a label: neither credentials, nor paths, nor methods, nor
/// names in certificates.
#[test]
fn a_hostile_client_cannot_create_series() {
    let (guard, _exporter) = busy();
    let rogue = Authority::new("rogue");
    let ask = |i: usize| {
        let mut client = TlsClient::new().connect(guard.port());
        let user = format!("user{i}");
        client.get_as((&user, "x"), &format!("/{i}"));
        client.get_as(SCRAPER, &format!("/{i}"));
        let more = format!("Authorization: Bearer wrong{i}\r\n");
        client.request(get("/node/metrics", &more));
        client.send(format!("M{i} /node/metrics HTTP/1.1\r\nHost: h{i}\r\n\r\n"));
        client.head();
        let names = [San::Dns(["x.example", "y.example", "w.example"][i % 3])];
        let identity = rogue.issue(&Leaf::client().sans(&names));
        // Not trusted, so that it gets no further than the handshake.
        let _ = TlsClient::new().identity(&identity).try_get(guard.port(), "");
    };
    let series = || -> BTreeSet<String> {
        let page = guard.telemetry().get("/metrics").text();
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        lines.filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())).collect()
    };
    ask(0);
    let other = "exporter_guard_http_requests_total{method=\"other\"}";
    eventually("the first round", || {
        guard.telemetry().get("/metrics").text().contains("\"other\"")
    });
    let before = series();
    for i in 1..20 {
        ask(i);
    }
    eventually("the last round", || guard.metric(other) >= 20.0);
    let after = series();
    let created: Vec<&String> = after.difference(&before).collect();
    assert!(created.is_empty(), "{created:#?}");
}

/// The families of a page in the text format: type, and the names of their labels.
fn families(page: &str) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut families = BTreeMap::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a type");
            name.clone_into(&mut current);
            families.insert(current.clone(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#')
            && let Some((_, labels)) = line.split_once('{')
        {
            let keys = labels.split("=\"").filter_map(|part| {
                let key = part.rsplit([',', '{', '"']).next()?;
                key.chars().all(|c| c.is_ascii_lowercase() || c == '_').then_some(key)
            });
            let keys = keys.filter(|key| !key.is_empty() && *key != "le").map(str::to_owned);
            families.get_mut(&current).expect("a type first").1.extend(keys);
        }
    }
    families
}

#[test]
fn the_guard_exports_what_its_list_of_metrics_says() {
    let (guard, _exporter) = busy();
    let page = guard.telemetry().get("/metrics").text();
    let exported = families(&page);
    let listed: BTreeMap<String, &Family> =
        catalogue().into_iter().map(|family| (family.full_name(), family)).collect();
    let names = |map: &BTreeSet<String>| map.iter().cloned().collect::<Vec<_>>();
    let exported_names: BTreeSet<String> = exported.keys().cloned().collect();
    let listed_names: BTreeSet<String> = listed.keys().cloned().collect();
    // Without these in the configuration there is no series for one.
    let mut expected = listed_names;
    assert!(expected.remove("exporter_guard_revocation_list_next_update_timestamp_seconds"));
    assert!(expected.remove("exporter_guard_target_file_successful"));
    assert_eq!(names(&exported_names), names(&expected));
    for (name, (kind, labels)) in &exported {
        let family = listed[name];
        assert_eq!(kind, family.type_name(), "{name}");
        let known: BTreeSet<String> = family.labels.iter().map(ToString::to_string).collect();
        // A family without series of its own, such as refused connections, shows no labels.
        assert!(labels.is_subset(&known), "{name}: {labels:?}");
    }
    assert!(exported["exporter_guard_http_requests_total"].1.len() == 4);
}

#[test]
fn the_page_of_metrics_is_what_the_guard_exports() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut list = process::command(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    list.args(["run", "--locked", "--quiet", "--example=metrics"]);
    let expected = Finished::run(&mut list, root, b"").expect_code(0).stdout;
    let page = fs::read_to_string(root.join("docs/metrics.md")).expect("docs/metrics.md");
    assert!(page == expected, "run `cargo run --example metrics > docs/metrics.md`");
}
