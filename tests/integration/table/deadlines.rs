//! Row "header read timeout": deadlines are absolute, for every phase of every connection.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;

/// Of the limits in the configurations here.
const LIMIT: Duration = Duration::from_secs(1);
/// Generous for a loaded machine, and far from "for ever" and from every default.
const LATEST: Duration = Duration::from_secs(8);
/// Between the bytes of a slow sender: any timeout per read would be refreshed.
const DRIP: Duration = Duration::from_millis(100);

fn limits(lines: &str) -> String {
    let lines: String = lines.split(',').map(|line| format!("    {}\n", line.trim())).collect();
    format!("proxy:\n  limits:\n{lines}")
}

/// Send byte after byte until the other side has enough; how long that took.
#[track_caller]
fn dribble(client: &mut Client, bytes: &[u8]) -> Duration {
    let start = Instant::now();
    for byte in bytes.iter().cycle() {
        assert!(start.elapsed() < LATEST, "still listening after {LATEST:?}");
        if client.try_send(&[*byte]).is_err() || client.closes_within(DRIP) {
            break;
        }
    }
    start.elapsed()
}

#[track_caller]
fn assert_at_the_limit(took: Duration) {
    assert!(took >= LIMIT - DRIP && took < LATEST, "cut after {took:?}");
}

const ENDLESS: &[u8] = b"X-Slow: abcdefghijklmnopqrstuvwxyz\r\n";

#[test]
fn a_slow_header_is_cut_off() {
    let guard = GuardBuilder::new().config(limits("header_timeout: 1s")).start();
    let mut client = guard.connect();
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    assert_at_the_limit(dribble(&mut client, ENDLESS));
}

#[test]
fn a_slow_header_is_cut_off_behind_tls() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let mut client = TlsClient::new().connect(guard.port());
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    assert_at_the_limit(dribble(&mut client, ENDLESS));
}

/// "Keep-alive becomes infinite after the first request".
#[test]
fn a_slow_header_is_cut_off_after_a_good_request() {
    let guard = GuardBuilder::new().config(limits("header_timeout: 1s, idle_timeout: 60s")).start();
    let mut client = guard.connect();
    for _ in 0..2 {
        assert_eq!(client.get("/metrics").status, 200);
    }
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    assert_at_the_limit(dribble(&mut client, ENDLESS));
}

#[test]
fn a_slow_header_is_answered_with_408_or_nothing() {
    let guard = GuardBuilder::new().config(limits("header_timeout: 1s")).start();
    let mut client = guard.connect();
    client.send("GET /metrics HTTP/1.1\r\n");
    if let Some(response) = client.head_or_close() {
        assert_eq!(response.status, 408);
    }
    assert!(client.closes_within(LATEST));
}

#[test]
fn a_new_connection_without_a_request_is_closed() {
    let config = limits("header_timeout: 1s, idle_timeout: 60s, handshake_timeout: 1s");
    let guard = GuardBuilder::new().config(config).start();
    let took = guard.connect().time_to_close();
    assert!(took < LATEST, "{took:?}");
}

#[test]
fn an_idle_connection_is_closed() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("idle_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    for requests in 1..3 {
        let mut client = TlsClient::new().connect(guard.port());
        for _ in 0..requests {
            assert_eq!(client.get("/metrics").status, 200);
        }
        assert_at_the_limit(client.time_to_close());
    }
}

#[test]
fn an_idle_connection_within_the_limit_stays() {
    let guard = GuardBuilder::new().config(limits("idle_timeout: 10s, header_timeout: 1s")).start();
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
    assert_at_the_limit(guard.connect().time_to_close());
    // The record claims 16 KB of ClientHello, which come one by one.
    let mut client = guard.connect();
    client.send(b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc\x03\x03");
    assert_at_the_limit(dribble(&mut client, b"\0"));
}

#[test]
fn http2_without_a_preface_is_cut_off() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s, idle_timeout: 60s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let client = || TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port());
    assert_at_the_limit(client().time_to_close());
    let mut slow = client();
    slow.send(&http2::PREFACE[..10]);
    assert_at_the_limit(slow.time_to_close());
}

#[test]
fn http2_without_a_request_is_cut_off() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s, idle_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let client = || TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port());
    let mut silent = Http2::begin(client());
    assert_at_the_limit(silent.client().time_to_close());
    let mut unfinished = Http2::begin(client());
    unfinished.client().send(http2::unfinished_headers());
    assert_at_the_limit(unfinished.client().time_to_close());
    let mut idle = Http2::begin(client());
    for _ in 0..2 {
        assert!(idle.get("/metrics", &[]).ok);
    }
    assert_at_the_limit(idle.client().time_to_close());
}

/// An answer may take longer than any of the limits on the client's side.
#[test]
fn a_slow_answer_is_no_idle_connection() {
    let exporter = Exporter::scripted(|_, out| {
        thread::sleep(2 * LIMIT + LIMIT / 2);
        out.write_all(&ok("", PAGE))?;
        Ok(Next::KeepAlive)
    });
    let tls = ServerTls::new();
    let lines =
        "header_timeout: 1s, idle_timeout: 1s, handshake_timeout: 1s, response_timeout: 20s";
    let config = format!("{TLS}{}", limits(lines));
    let guard = GuardBuilder::new().config(config).tls(&tls).upstream(&exporter).start();
    let mut http1 = TlsClient::new().connect(guard.port());
    http1.send(get("/metrics", ""));
    let http2 = TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port());
    let mut http2 = Http2::begin(http2);
    let stream = http2.send_get("/metrics", &[]);
    assert_eq!(http1.response().text(), PAGE);
    let answer = http2.answer(stream);
    assert!(answer.ok && answer.body == PAGE.as_bytes());
}

/// Slow senders hold up nobody else.
#[test]
fn slow_senders_cost_others_nothing() {
    let guard = GuardBuilder::new().config(limits("header_timeout: 5s")).start();
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
