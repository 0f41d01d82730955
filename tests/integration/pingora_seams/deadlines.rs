//! Deadlines are absolute, for every phase of every connection. Stock pingora's header timeout is
//! one for each read, which every byte renews, and ends with the first request.

use std::time::{Duration, Instant};

use crate::support::*;

/// Of the limits in the configurations here.
const LIMIT: Duration = Duration::from_secs(1);
/// What a test may take by `make stress`: far from every default.
const LATEST: Duration = Duration::from_secs(8);
/// Between the bytes of a slow sender: any timeout per read would be refreshed.
const DRIP: Duration = Duration::from_millis(100);

/// Send byte after byte until the other side closes.
#[track_caller]
fn dribble(client: &mut Client, bytes: &[u8]) {
    let start = Instant::now();
    for byte in bytes.iter().cycle() {
        assert!(start.elapsed() < process::PATIENCE, "still listening");
        if client.try_send(&[*byte]).is_err() || client.closes_within(DRIP) {
            return;
        }
    }
}

/// The connection is closed now, and something began to wait at `start` or later.
#[track_caller]
fn assert_not_before_the_limit(start: Instant) {
    let took = start.elapsed();
    assert!(took >= LIMIT, "cut after {took:?}");
}

const ENDLESS: &[u8] = b"X-Slow: abcdefghijklmnopqrstuvwxyz\r\n";

#[test]
fn a_slow_header_is_cut_off() {
    let guard = GuardBuilder::new().config(open(limits("header_timeout: 1s"))).start();
    let mut client = guard.connect();
    let start = Instant::now();
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    dribble(&mut client, ENDLESS);
    assert_not_before_the_limit(start);
}

#[test]
fn a_slow_header_is_cut_off_behind_tls() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let mut client = TlsClient::new().connect(guard.port());
    let start = Instant::now();
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    dribble(&mut client, ENDLESS);
    assert_not_before_the_limit(start);
}

/// "Keep-alive becomes infinite after the first request".
#[test]
fn a_slow_header_is_cut_off_after_a_good_request() {
    let guard =
        GuardBuilder::new().config(open(limits("header_timeout: 1s, idle_timeout: 60s"))).start();
    let mut client = guard.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/metrics").status, 200);
    }
    let start = Instant::now();
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    dribble(&mut client, ENDLESS);
    assert_not_before_the_limit(start);
}

#[test]
fn a_slow_header_is_answered_with_408_or_nothing() {
    let guard = GuardBuilder::new().config(open(limits("header_timeout: 1s"))).start();
    let mut client = guard.connect();
    client.send("GET /metrics HTTP/1.1\r\n");
    if let Some(response) = client.head_or_close() {
        assert_eq!(response.status, 408);
    }
    client.wait_close();
}

#[test]
fn a_new_connection_without_a_request_is_closed() {
    let config = limits("header_timeout: 1s, idle_timeout: 60s, handshake_timeout: 1s");
    let guard = GuardBuilder::new().config(open(config)).start();
    let start = Instant::now();
    guard.connect().wait_close();
    assert_not_before_the_limit(start);
}

#[test]
fn an_idle_connection_is_closed() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("idle_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    for requests in 1..3 {
        let mut client = TlsClient::new().connect(guard.port());
        let mut start = Instant::now();
        for _ in 0..requests {
            start = Instant::now();
            assert_eq!(client.get("/metrics").status, 200);
        }
        client.wait_close();
        assert_not_before_the_limit(start);
    }
}

#[test]
fn an_idle_connection_within_the_limit_is_kept() {
    let guard =
        GuardBuilder::new().config(open(limits("idle_timeout: 10s, header_timeout: 1s"))).start();
    let mut client = guard.connect();
    assert_eq!(client.get("/metrics").status, 200);
    assert!(!client.closes_within(2 * LIMIT));
    assert_eq!(client.get("/metrics").status, 200);
}

#[test]
fn a_slow_handshake_is_cut_off() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("handshake_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let start = Instant::now();
    guard.connect().wait_close();
    assert_not_before_the_limit(start);
    // The record claims 16 KB of ClientHello, which come one by one.
    let start = Instant::now();
    let mut client = guard.connect();
    client.send(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03");
    dribble(&mut client, b"\0");
    assert_not_before_the_limit(start);
}

#[test]
fn http2_without_a_preface_is_cut_off() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s, idle_timeout: 60s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let client = || TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port());
    let start = Instant::now();
    client().wait_close();
    assert_not_before_the_limit(start);
    let start = Instant::now();
    let mut slow = client();
    slow.send(&http2::PREFACE[..10]);
    slow.wait_close();
    assert_not_before_the_limit(start);
}

#[test]
fn http2_without_a_request_is_cut_off() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s, idle_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let client = || Http2::connect(guard.port());
    let start = Instant::now();
    client().client().wait_close();
    assert_not_before_the_limit(start);
    let start = Instant::now();
    let mut unfinished = client();
    unfinished.client().send(http2::unfinished_headers());
    unfinished.client().wait_close();
    assert_not_before_the_limit(start);
    let mut idle = client();
    assert!(idle.get("/metrics", &[]).ok);
    let start = Instant::now();
    assert!(idle.get("/metrics", &[]).ok);
    idle.client().wait_close();
    assert_not_before_the_limit(start);
}

/// An answer may take longer than any of the limits on the client's side.
#[test]
fn a_connection_that_waits_for_a_slow_answer_is_kept() {
    let (exporter, release) = Exporter::held("", ok("", PAGE));
    let tls = ServerTls::new();
    let lines =
        "header_timeout: 1s, idle_timeout: 1s, handshake_timeout: 1s, response_timeout: 20s";
    let config = format!("{TLS}{}", limits(lines));
    let guard = GuardBuilder::new().config(config).tls(&tls).upstream(&exporter).start();
    let mut http1 = TlsClient::new().connect(guard.port());
    http1.send(get("/metrics", ""));
    let mut http2 = Http2::connect(guard.port());
    let stream = http2.send_get("/metrics", &[]);
    eventually("the exporter is asked", || exporter.requests().len() == 2);
    for _ in 0..2 {
        // Each of the limits ends a connection that was begun later.
        let without_handshake = guard.connect();
        let without_request = TlsClient::new().connect(guard.port());
        let mut without_end = TlsClient::new().connect(guard.port());
        without_end.send("GET /metrics HTTP/1.1\r\n");
        for mut client in [without_handshake, without_request, without_end] {
            client.wait_close();
        }
    }
    for _ in 0..2 {
        release.send(()).unwrap();
    }
    assert_eq!(http1.response().text(), PAGE);
    let answer = http2.answer(stream);
    assert!(answer.ok && answer.body == PAGE.as_bytes());
}

#[test]
fn slow_senders_do_not_delay_others() {
    let guard = GuardBuilder::new().config(open(limits("header_timeout: 5s"))).start();
    let mut slow: Vec<Client> = (0..100)
        .map(|_| {
            let mut client = guard.connect();
            client.send("GET /metrics HTTP/1.1\r\n");
            client
        })
        .collect();
    for _ in 0..10 {
        assert_eq!(guard.connect().get("/metrics").status, 200);
    }
    for client in &mut slow {
        client.send("Host: a\r\n\r\n");
    }
    for client in &mut slow {
        assert_eq!(client.response().status, 200);
    }
}

#[test]
#[ignore = "a wall-clock bound"]
fn every_limit_is_kept_and_no_default_instead() {
    let tests: [(&str, fn()); 9] = [
        ("a slow header", a_slow_header_is_cut_off),
        ("behind TLS", a_slow_header_is_cut_off_behind_tls),
        ("after a good request", a_slow_header_is_cut_off_after_a_good_request),
        ("408", a_slow_header_is_answered_with_408_or_nothing),
        ("no request", a_new_connection_without_a_request_is_closed),
        ("idle", an_idle_connection_is_closed),
        ("a slow handshake", a_slow_handshake_is_cut_off),
        ("HTTP/2 without a preface", http2_without_a_preface_is_cut_off),
        ("HTTP/2 without a request", http2_without_a_request_is_cut_off),
    ];
    for (name, test) in tests {
        assert_within(LATEST, name, test);
    }
}
