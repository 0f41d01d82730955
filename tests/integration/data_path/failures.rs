//! The exporter is down, slow or broken: a plain answer to the scraper, a log line for the
//! operator.

use std::time::{Duration, Instant};

use crate::support::exporter::always;
use crate::support::ports::{Refusing, Unreachable};
use crate::support::*;

/// The shortest timeouts the tests use.
const SHORT: &str = "proxy: {limits: {response_timeout: 1s, connect_timeout: 1s}}\n";

/// The log line about a failure, checked for what it must name.
#[track_caller]
fn wait_failure(guard: &Guard, status: u16, upstream: &str) -> String {
    let line = guard.wait_message("Upstream failed");
    assert_eq!(logfmt::field(&line, "level"), "WARN", "{line}");
    assert_eq!(logfmt::field(&line, "status"), status.to_string(), "{line}");
    assert_eq!(logfmt::field(&line, "upstream"), upstream, "{line}");
    assert!(!logfmt::field(&line, "cause").is_empty(), "{line}");
    line
}

#[track_caller]
fn assert_plain_text(response: &Response, status: u16) {
    assert_eq!(response.status, status);
    let content_type = response.header("content-type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain"), "{response:?}");
    let body = response.text();
    assert!(!body.trim().is_empty() && !body.contains('<'), "{body:?}");
}

#[test]
fn an_exporter_that_is_down_is_a_502() {
    let down = Refusing::new();
    let url = format!("http://{}", down.address());
    // A refusal needs no timeout: these do not come to their end.
    let long = limits("response_timeout: 1h, connect_timeout: 1h");
    let guard = GuardBuilder::new().config(open(long)).upstream(&url).start();
    assert_plain_text(&guard.connect().get("/metrics"), 502);
    let line = wait_failure(&guard, 502, &url);
    assert!(logfmt::field(&line, "cause").contains("refused"), "{line}");
}

#[test]
fn an_exporter_that_starts_later_is_reached() {
    let down = Refusing::new();
    let url = format!("http://{}", down.address());
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(url).start();
    assert_eq!(guard.connect().get("/metrics").status, 502);
    let _exporter = Exporter::on(down.listen(), always(ok("", PAGE)));
    assert_eq!(guard.connect().get("/metrics").text(), PAGE);
}

#[test]
fn a_unix_socket_that_is_not_there_is_a_502() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("exporter.sock");
    let url = format!("unix:{}", path.display());
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(&url).start();
    assert_plain_text(&guard.connect().get("/metrics"), 502);
    wait_failure(&guard, 502, &url);
    let _exporter = Exporter::on_unix(&path, always(ok("", PAGE)));
    assert_eq!(guard.connect().get("/metrics").text(), PAGE);
}

#[test]
fn an_exporter_that_does_not_answer_is_a_504() {
    let (exporter, _hold) = Exporter::held("", "");
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(&exporter).start();
    let start = Instant::now();
    assert_plain_text(&guard.connect().get("/metrics"), 504);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
    wait_failure(&guard, 504, &exporter.to_string());
}

#[test]
fn by_default_a_silent_exporter_has_more_than_five_seconds() {
    let (exporter, _hold) = Exporter::held("", "");
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let start = Instant::now();
    assert_plain_text(&guard.connect().get("/metrics"), 504);
    let took = start.elapsed();
    assert!(took > Duration::from_secs(5), "{took:?}");
}

/// Prometheus says with each scrape how long it will wait: 3 s here.
#[test]
fn the_exporter_has_a_part_of_the_stated_scrape_timeout() {
    let (exporter, _hold) = Exporter::held("", "");
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let start = Instant::now();
    let stated = get("/metrics", "X-Prometheus-Scrape-Timeout-Seconds: 3\r\n");
    assert_plain_text(&guard.connect().request(stated), 504);
    let took = start.elapsed();
    assert!(took > Duration::from_secs(1), "{took:?}");
}

#[test]
fn an_exporter_that_cannot_be_connected_to_is_a_504() {
    let unreachable = Unreachable::new();
    let url = format!("http://{}", unreachable.address());
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(&url).start();
    assert_plain_text(&guard.connect().get("/metrics"), 504);
    wait_failure(&guard, 504, &url);
}

#[test]
fn failures_look_the_same_over_http2() {
    let down = Refusing::new();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new()
        .config(TLS)
        .tls(&tls)
        .upstream(format!("http://{}", down.address()))
        .start();
    let url = guard.url("/");
    let fetched = guard.curl().arg("--http2").fetch(&url);
    assert_eq!(fetched.http_version, "2");
    assert_plain_text(&fetched.response, 502);
}

#[test]
fn an_exporter_that_answers_nonsense_is_a_502() {
    for nonsense in [
        "",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
    ] {
        let exporter = Exporter::scripted(move |_, out| {
            out.write_all(nonsense.as_bytes())?;
            Ok(Next::Close)
        });
        let guard = GuardBuilder::new().config(open(SHORT)).upstream(&exporter).start();
        let response = guard.connect().get("/metrics");
        assert_eq!(response.status, 502, "to {nonsense:?}");
        assert_plain_text(&response, 502);
        wait_failure(&guard, 502, &exporter.to_string());
    }
}

#[test]
fn the_cause_of_a_failure_is_not_told_to_the_client() {
    let exporter = Exporter::scripted(|_, out| {
        out.write_all(b"canary-from-the-exporter\r\n\r\n")?;
        Ok(Next::Close)
    });
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(&exporter).start();
    let response = guard.connect().get("/metrics");
    let port = wire::port(exporter.address()).to_string();
    let text = response.text();
    assert!(!text.contains("canary") && !text.contains(&port), "{text}");
}

/// A POST may have been acted upon: RFC 9110 section 9.2.2 forbids sending it again.
#[test]
fn a_post_is_not_sent_twice() {
    let exporter = Exporter::scripted(|request, out| match request.method.as_str() {
        "POST" => Ok(Next::Close),
        _ => always(ok("", PAGE))(request, out),
    });
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(&exporter).start();
    let mut client = guard.connect();
    assert_eq!(client.get("/warm-up").status, 200);
    let post = "POST /delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(client.request(post).status, 502);
    let posts = exporter.requests().iter().filter(|request| request.method == "POST").count();
    assert_eq!(posts, 1);
}

#[test]
fn a_failure_leaves_the_guard_working() {
    let exporter = Exporter::scripted(|request, out| match request.target.as_str() {
        "/broken" => Ok(Next::Close),
        _ => always(ok("", PAGE))(request, out),
    });
    let guard = GuardBuilder::new().config(open(SHORT)).upstream(&exporter).start();
    for _ in 0..3 {
        assert_eq!(guard.connect().get("/broken").status, 502);
        assert_eq!(guard.connect().get("/metrics").text(), PAGE);
    }
}

/// Prometheus gives up after 10 s by default, and a 504 says more than a scrape that timed out.
#[test]
#[ignore = "a wall-clock bound"]
fn the_504_comes_before_prometheus_gives_up() {
    let seconds = Duration::from_secs;
    assert_within(seconds(8), "no answer", an_exporter_that_does_not_answer_is_a_504);
    assert_within(seconds(8), "no connection", an_exporter_that_cannot_be_connected_to_is_a_504);
    let by_default = by_default_a_silent_exporter_has_more_than_five_seconds;
    assert_within(seconds(10), "by default", by_default);
    let stated = the_exporter_has_a_part_of_the_stated_scrape_timeout;
    assert_within(seconds(3), "3 s stated", stated);
}
