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
        .config(open(limit))
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
fn listeners_that_let_everybody_through_are_warned_of_and_counted() {
    let tls = ServerTls::new();
    let clients = Authority::new("clients");
    let only = format!("{TLS}{VERIFIED_CLIENTS}");
    let modes = ["RequireAnyClientCert", "VerifyClientCertIfGiven", "RequestClientCert"];
    let open = modes.map(|mode| format!("{TLS}  client_auth_type: {mode}\n"));
    for (config, is_warned, count) in [
        (TLS, true, 1.0),
        (&open[0], true, 1.0),
        (&open[1], true, 1.0),
        (&open[2], true, 1.0),
        (&format!("{TLS}basic_auth_users: {{}}\n"), false, 1.0),
        (OPEN, false, 1.0),
        (&guarded(), false, 0.0),
        (&only, false, 0.0),
    ] {
        let builder = GuardBuilder::new().config(config).tls(&tls);
        let guard = builder.file("clients.crt", clients.pem()).telemetry().start();
        assert_eq!(guard.metric("exporter_guard_open_listeners"), count, "{config}");
        let warns = |line: &String| line.contains("everybody is let through");
        assert_eq!(guard.stderr().iter().any(warns), is_warned, "{config}");
    }
}

#[test]
fn a_listener_of_its_own_is_judged_by_itself() {
    let tls = ServerTls::new();
    let socket = |builder: &GuardBuilder| format!("unix:{}", builder.path("own.sock").display());
    let builder = GuardBuilder::new();
    let own = socket(&builder);
    let listener = format!("listeners: [{{listen_address: '{own}', tls_server_config: {{}}}}]\n");
    let listen = format!("127.0.0.1:0,{own}");
    let file = |declared: &str| format!("{TLS}{VERIFIED_CLIENTS}{declared}{}", proxy(&listener));
    let builder = builder.tls(&tls).file("clients.crt", Authority::new("clients").pem());
    let builder = builder.config(file("basic_auth_users: {}\n")).listen(listen);
    let guard = builder.telemetry().start();
    assert_eq!(guard.metric("exporter_guard_open_listeners"), 1.0);
    guard.replace("web.yml", file(""));
    let line = guard.wait_failed_reload(1);
    assert!(
        logfmt::field(&line, "err").contains(&format!("listener {own}: without TLS")),
        "{line}"
    );
}

#[test]
fn an_empty_address_turns_telemetry_off() {
    let guard = GuardBuilder::new().config(OPEN).start();
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
