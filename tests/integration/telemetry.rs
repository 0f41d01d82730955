//! `--telemetry.listen-address`: the guard's own metrics and lifecycle.

use crate::support::*;

#[test]
fn telemetry_serves_health_readiness_and_a_status_page() {
    let guard = GuardBuilder::new().config(scraper()).telemetry().start();
    let mut client = guard.telemetry();
    for path in ["/-/healthy", "/-/ready"] {
        let response = client.get(path);
        assert_eq!(response.status, 200, "{path}");
        assert!(!response.text().is_empty(), "{path}");
    }
    let page = client.get("/");
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap_or_default().starts_with("text/html"));
    assert_eq!(client.get("/nothing-here").status, 404);
    client.send("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.get("/-/healthy").status, 200, "the next answer comes at once");
}

#[test]
fn the_metrics_count_answers_by_status() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).telemetry().start();
    let mut client = guard.connect();
    for _ in 0..3 {
        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    }
    for _ in 0..2 {
        assert_eq!(client.get("/metrics").status, 401);
    }
    let metric = |series: &str| guard.metric(series);
    // Counted when the answer is out, which the client may see first.
    eventually("the requests", || {
        metric("exporter_guard_http_requests_total{code=\"200\"}") == 3.0
            && metric("exporter_guard_http_requests_total{code=\"401\"}") == 2.0
    });
    assert_eq!(metric("exporter_guard_config_generation"), 1.0);
    assert_eq!(metric("exporter_guard_config_last_reload_successful"), 1.0);
    let page = guard.telemetry().get("/metrics").text();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        page.lines().any(|line| line.starts_with("exporter_guard_build_info{")
            && line.contains(&format!("version=\"{version}\""))
            && line.ends_with(" 1")),
        "{page}"
    );
}

/// What a 200 of the exporter's and an answer of the guard's own have in common.
#[test]
fn every_answer_is_counted() {
    let down = ports::Refusing::new();
    let limit = yaml(
        "
        rate_limit:
          interval: 1h
          burst: 1
        ",
    );
    let guard = GuardBuilder::new()
        .config(limit)
        .upstream(format!("http://{}", down.address()))
        .telemetry()
        .start();
    assert_eq!(guard.connect().get("/").status, 502);
    assert_eq!(guard.connect().get("/").status, 429);
    for code in [502, 429] {
        let label = format!("code=\"{code}\"}}");
        eventually(&label, || guard.telemetry().get("/metrics").text().contains(&label));
        let series = format!("exporter_guard_http_requests_total{{{label}");
        assert_eq!(guard.metric(&series), 1.0);
    }
}

#[test]
fn an_empty_address_turns_telemetry_off() {
    let guard = GuardBuilder::new().config("").start();
    assert_eq!(guard.connect().get("/metrics").status, 200);
    let lines = guard.stderr();
    assert!(!lines.iter().any(|line| line.contains("listener=telemetry")), "{lines:#?}");
}

#[test]
fn telemetry_asks_for_no_credentials_and_speaks_no_tls() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).telemetry().start();
    assert_eq!(guard.telemetry().get("/metrics").status, 200);
    let line = guard.wait_log("the telemetry listener", |line| line.contains("listener=telemetry"));
    assert_eq!(logfmt::field(&line, "tls"), "false", "{line}");
}

/// `--upstream=self`: the guard's own metrics behind its own guard.
#[test]
fn the_metrics_of_the_guard_are_served_behind_its_own_authentication() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).upstream("self").start();
    let mut client = TlsClient::new().connect(guard.port());
    assert_eq!(client.get("/metrics").status, 401);
    let page = client.get_as(SCRAPER, "/metrics");
    assert_eq!(page.status, 200);
    assert!(page.text().contains("exporter_guard_build_info"), "{}", page.text());
    assert_eq!(client.get_as(SCRAPER, "/other").status, 404);
}

/// Nothing of a client's own making becomes a label.
#[test]
fn clients_cannot_make_metrics_grow() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).telemetry().start();
    let mut client = guard.connect();
    let series = || guard.telemetry().get("/metrics").text().lines().count();
    let ask = |client: &mut Client, i: usize| {
        assert_eq!(client.get_as((&format!("user{i}"), "x"), &format!("/{i}")).status, 401);
        assert_eq!(client.get_as(SCRAPER, &format!("/{i}")).status, 200);
    };
    ask(&mut client, 0);
    let before = series();
    for i in 1..30 {
        ask(&mut client, i);
    }
    assert_eq!(series(), before);
}
