//! What is logged, in which shape, and what never is.

use crate::support::guard::hash;
use crate::support::*;

#[test]
fn logfmt_has_time_level_source_and_msg_first() {
    let guard = GuardBuilder::new().config(scraper()).start();
    assert_eq!(guard.connect().get("/metrics").status, 401);
    guard.wait_log("the refusal", |line| line.contains("Request refused"));
    for line in guard.stderr() {
        let fields = logfmt::parse(&line);
        assert!(line.starts_with("time=20"), "{line}");
        let time = &fields["time"];
        assert!(time.len() == 24 && time.ends_with('Z') && &time[10..11] == "T", "{line}");
        assert!(["INFO", "WARN"].contains(&fields["level"].as_str()), "{line}");
        assert!(fields["source"].starts_with("exporter_guard"), "{line}");
        assert!(!fields["msg"].is_empty(), "{line}");
    }
}

#[test]
fn the_start_names_each_listener() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).telemetry().start();
    for (listener, port, tls) in
        [("web", guard.port(), "true"), ("telemetry", guard.telemetry_port(), "false")]
    {
        let line = guard.wait_log("the listener", |line| {
            line.contains("Listening on") && logfmt::field(line, "listener") == listener
        });
        assert_eq!(logfmt::field(&line, "address"), format!("127.0.0.1:{port}"), "{line}");
        assert_eq!(logfmt::field(&line, "tls"), tls, "{line}");
        assert_eq!(logfmt::field(&line, "http2"), tls, "{line}");
    }
}

#[test]
fn the_log_is_json_on_request() {
    let guard = GuardBuilder::new().config(scraper()).arg("--log.format=json").spawn();
    let line = guard.wait_log("listening", |line| line.contains("Listening on"));
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["msg"], "Listening on");
    assert_eq!(line["listener"], "web");
    assert_eq!(line["tls"], false);
    let port = wire::port(line["address"].as_str().expect("an address"));
    assert_eq!(Client::plain(port).get("/metrics").status, 401);
    guard.wait_log("the refusal", |line| line.contains("Request refused"));
    for line in guard.stderr() {
        let parsed: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(parsed["time"].is_string() && parsed["source"].is_string(), "{line}");
    }
}

#[test]
fn lines_below_the_log_level_are_left_out() {
    for (level, info, warn) in
        [("debug", true, true), ("warn", false, true), ("error", false, false)]
    {
        let builder = GuardBuilder::new().config(scraper());
        let socket = builder.path("guard.sock");
        let builder = builder.listen(format!("unix:{}", socket.display()));
        let mut guard = builder.arg(format!("--log.level={level}")).spawn();
        eventually("the socket", || Client::unix(&socket).is_ok());
        assert_eq!(Client::unix(&socket).unwrap().get("/metrics").status, 401);
        guard.signal(libc::SIGTERM);
        guard.process().wait_exit();
        let has = |level: &str| guard.stderr().iter().any(|l| logfmt::field(l, "level") == level);
        assert_eq!((has("INFO"), has("WARN")), (info, warn), "{level}");
    }
}

/// A flood of refusals must not become a flood of lines.
#[test]
fn refusals_are_logged_at_a_limited_rate() {
    const REQUESTS: usize = 500;
    let guard = GuardBuilder::new().config(scraper()).start();
    let mut client = guard.connect();
    for _ in 0..REQUESTS {
        assert_eq!(client.get("/metrics").status, 401);
    }
    let lines = guard.stderr().iter().filter(|line| line.contains("Request refused")).count();
    assert!((1..=REQUESTS / 5).contains(&lines), "{lines} lines for {REQUESTS} refusals");
}

/// What a client sends must not look like a line or a field of the log's own.
#[test]
fn clients_cannot_forge_lines_of_the_log() {
    let guard = GuardBuilder::new().config(scraper()).arg("--log.level=trace").start();
    let forged = "x\nlevel=ERROR msg=forged\u{1b}[31m \" a=b";
    let mut client = guard.connect();
    assert_eq!(client.get_as((forged, "p"), "/a%0alevel=ERROR").status, 401);
    guard.wait_log("the refusal", |line| line.contains("Request refused"));
    for line in guard.stderr() {
        assert!(line.starts_with("time="), "{line:?}");
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert_ne!(logfmt::field(&line, "level"), "ERROR", "{line:?}");
    }
}

/// Every secret there is, through everything that can go wrong with it, at every level.
#[test]
fn no_secret_is_ever_logged() {
    const PASSWORD: &str = "canary-right-password";
    const WRONG: &str = "canary-wrong-password";
    let tls = ServerTls::new();
    let known = hash(PASSWORD, 4);
    let other = hash(WRONG, 5);
    let config = format!("{TLS}{}", users(&[("scraper", &known)]));
    let guard = GuardBuilder::new()
        .config(&config)
        .tls(&tls)
        .telemetry()
        .arg("--log.level=trace")
        .env("RUST_LOG", "trace")
        .start();
    let mut client = TlsClient::new().connect(guard.port());
    for credentials in [("scraper", PASSWORD), ("scraper", WRONG), ("nobody", PASSWORD)] {
        client.get_as(credentials, "/metrics");
    }
    client.request(get("/metrics", "Authorization: Basic canary-no-base64!\r\n"));
    client.request(get("/metrics", "Authorization: Bearer canary-bearer-token\r\n"));
    TlsClient::new()
        .connect(guard.port())
        .send("GET / HTTP/1.1\r\nAuthorization canary-broken\r\n\r\n");
    guard
        .connect()
        .request(get("/", &format!("Authorization: {}\r\n", basic("scraper", PASSWORD))));
    Http2::connect(guard.port()).get_as(("scraper", WRONG), "/metrics");

    for (count, broken) in [
        TLS.to_owned()
            + &yaml(
                "
                basic_auth_users:
                  scraper: canary-plain
                ",
            ),
        TLS.to_owned()
            + &yaml(&format!(
                "
                basic_auth_users:
                  scraper: {}
                  scraper: {other}
                ",
                &other
            )),
        TLS.to_owned()
            + &yaml(&format!(
                "
                basic_auth_users:
                  scraper: {}
                ",
                &other[..50]
            )),
        format!("{TLS}basic_auth_users: {other}\n"),
        tls_with(&format!(
            "
            key: {other}
            nonsense: canary-value
            "
        )),
        format!("{TLS}basic_auth_users: [canary-list, {other}"),
        "canary-text".to_owned(),
    ]
    .iter()
    .enumerate()
    {
        guard.replace("web.yml", broken);
        guard.wait_failed_reload(count + 1);
    }
    guard.replace("web.yml", &config);
    guard.replace("server.key", format!("{}canary-key", &tls.identity.key_pem()[..100]));
    guard.wait_failed_reload(8);
    let key = tls.identity.key_pem();
    let key_line = key.lines().nth(1).expect("a key");
    let mut secrets: Vec<String> =
        ["canary", &known[7..40], &other[7..40], key_line].map(str::to_owned).into();
    for password in [PASSWORD, WRONG] {
        secrets.push(basic("scraper", password).split_off(6));
        secrets.push(password.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "));
    }
    let said = guard.stderr().join("\n") + &guard.telemetry().get("/").text();
    let said = said + &guard.telemetry().get("/metrics").text();
    for secret in &secrets {
        assert!(!said.contains(secret), "{secret:?} was logged");
    }
}
