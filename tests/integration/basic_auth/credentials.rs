//! Which `Authorization` headers get in.

use crate::support::*;

fn guarded(exporter: &Exporter, config: impl AsRef<[u8]>) -> Guard {
    GuardBuilder::new().config(config).upstream(exporter).start()
}

/// Send these header lines; the status.
fn status(guard: &Guard, lines: &str) -> u16 {
    guard.connect().request(get("/metrics", lines)).status
}

#[test]
fn only_the_right_password_of_a_known_user_gets_in() {
    let exporter = Exporter::new();
    let config = users(&[("alice", &quick_hash("wonderland")), ("bob", &quick_hash("builder"))]);
    let guard = guarded(&exporter, config);
    assert_eq!(guard.login("alice", "wonderland"), 200);
    assert_eq!(guard.login("bob", "builder"), 200);
    for (user, password) in [
        ("alice", "builder"),
        ("bob", "wonderland"),
        ("alice", ""),
        ("alice", "Wonderland"),
        ("alice", "wonderland "),
        ("alice", "wonderlan"),
        ("Alice", "wonderland"),
        ("alice ", "wonderland"),
        (" alice", "wonderland"),
        ("alic", "wonderland"),
        ("", "wonderland"),
        ("", ""),
        ("mallory", "wonderland"),
    ] {
        assert_eq!(guard.login(user, password), 401, "{user:?} {password:?}");
    }
    assert_eq!(exporter.requests().len(), 2);
}

#[test]
fn a_refusal_names_the_scheme_and_is_logged() {
    let exporter = Exporter::new();
    let guard = guarded(&exporter, scraper());
    let response = guard.connect().get("/metrics");
    assert_eq!(response.status, 401);
    assert_eq!(response.text().trim_end(), "Unauthorized");
    let challenge = response.header("www-authenticate").unwrap_or_default();
    assert!(challenge.starts_with("Basic"), "{challenge}");
    let line = guard.wait_message("Request refused");
    assert_eq!(logfmt::field(&line, "level"), "WARN", "{line}");
    assert_eq!(logfmt::field(&line, "status"), "401", "{line}");
    assert!(!logfmt::field(&line, "reason").is_empty(), "{line}");
    assert!(logfmt::field(&line, "remote").starts_with("127.0.0.1:"), "{line}");
}

#[test]
fn a_refusal_of_head_has_no_body() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let mut client = guard.connect();
    client.send("HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.head().status, 401);
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200, "the next answer comes at once");
}

#[test]
fn every_path_and_method_is_guarded() {
    let exporter = Exporter::new();
    let guard = guarded(&exporter, scraper());
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET //metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/metrics HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /metrics HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        let mut client = guard.connect();
        client.send(request);
        let status = client.head().status;
        assert!(status == 401 || status == 400 || status == 405, "{request:?}: {status}");
    }
    assert_eq!(exporter.requests().len(), 0);
}

#[test]
fn without_users_there_is_no_authentication() {
    let exporter = Exporter::new();
    let guard = guarded(&exporter, OPEN);
    assert_eq!(status(&guard, ""), 200);
    assert_eq!(guard.login("anybody", "anything"), 200);
}

#[test]
fn the_case_of_the_scheme_does_not_matter() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let token = basic(SCRAPER.0, SCRAPER.1).split_off(6);
    for scheme in ["Basic", "basic", "BASIC", "bAsIc"] {
        let line = format!("Authorization: {scheme} {token}\r\n");
        assert_eq!(status(&guard, &line), 200, "{scheme}");
    }
    for scheme in ["Bearer", "Digest", "Basi", "Basicx", "Basic,"] {
        let line = format!("Authorization: {scheme} {token}\r\n");
        assert_eq!(status(&guard, &line), 401, "{scheme}");
    }
}

#[test]
fn a_password_may_hold_colons_and_a_user_name_may_not() {
    let config = users(&[("a", &quick_hash("b:c:d")), ("a:b", &quick_hash("c:d"))]);
    let guard = GuardBuilder::new().config(config).start();
    assert_eq!(guard.login("a", "b:c:d"), 200);
    assert_eq!(guard.login("a:b", "c:d"), 200, "which is the same header");
    assert_eq!(guard.login("a", "b"), 401);
    // The user `a:b` cannot log in.
    assert_eq!(guard.login("a:b", "c"), 401);
}

#[test]
fn a_password_may_hold_any_bytes() {
    let passwords: [&[u8]; 4] = [
        "pässwörd \u{1f511}".as_bytes(),
        b"\xff\xfe\x80",
        b" leading and trailing ",
        b"\t\r\n\x01",
    ];
    for password in passwords {
        let config = users(&[("scraper", &quick_hash(password))]);
        let guard = GuardBuilder::new().config(config).start();
        assert_eq!(guard.login("scraper", password), 200, "{password:?}");
        let lossy = String::from_utf8_lossy(password).into_owned() + "x";
        assert_eq!(guard.login("scraper", lossy), 401);
    }
}

#[test]
fn user_names_are_bytes_that_match_exactly() {
    let name = "caf\u{e9} \u{2615}";
    let guard = GuardBuilder::new().config(users(&[(name, &quick_hash("p"))])).start();
    assert_eq!(guard.login(name, "p"), 200);
    assert_eq!(guard.login("cafe\u{301} \u{2615}", "p"), 401, "not the same bytes");
    assert_eq!(guard.login(b"caf\xe9 \xe2\x98\x95", "p"), 401, "nor Latin-1");
}

#[test]
fn an_empty_user_name_or_password_is_like_any_other() {
    let config = users(&[("", &quick_hash("secret")), ("nobody", &quick_hash(""))]);
    let guard = GuardBuilder::new().config(config).start();
    assert_eq!(guard.login("", "secret"), 200);
    assert_eq!(guard.login("nobody", ""), 200);
    assert_eq!(guard.login("", ""), 401);
    assert_eq!(guard.login("nobody", "secret"), 401);
}

#[test]
fn malformed_credentials_are_refused() {
    let guard =
        GuardBuilder::new().config(users(&[("a", &quick_hash("b")), ("", &quick_hash(""))]));
    let guard = guard.start();
    // `YTpi` is `a:b`.
    assert_eq!(status(&guard, "Authorization: Basic YTpi\r\n"), 200);
    for value in [
        "",
        "Basic",
        "Basic ",
        "YTpi",
        "BasicYTpi",
        "Basic a:b",
        "Basic YTpi=",
        "Basic YTp",
        "Basic YTpi YTpi",
        "Basic YTpi,Basic YTpi",
        "Basic Y!pi",
        "Basic -_-_",
        "Basic YWI=",
        "Basic YTpi\u{e9}",
    ] {
        let line = format!("Authorization: {value}\r\n");
        assert_eq!(status(&guard, &line), 401, "{value:?}");
    }
}

/// Which of the two counts is a question that different programs answer differently.
#[test]
fn two_authorization_headers_are_refused() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let good = authorization(SCRAPER);
    let bad = format!("Authorization: {}\r\n", basic("x", "y"));
    assert_eq!(status(&guard, &good), 200);
    for lines in
        [[&*bad, &good], [&good, &bad], [&good, &good], ["Authorization: Bearer z\r\n", &good]]
    {
        let status = status(&guard, &lines.concat());
        assert!(status == 401 || status == 400, "{lines:?}: {status}");
    }
}

/// Proxy-Authorization is for proxies that the client chose; this one is not.
#[test]
fn other_headers_hold_no_credentials() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let value = basic(SCRAPER.0, SCRAPER.1);
    for name in ["Proxy-Authorization", "X-Authorization", "Authorization2", "Cookie"] {
        assert_eq!(status(&guard, &format!("{name}: {value}\r\n")), 401, "{name}");
    }
}
