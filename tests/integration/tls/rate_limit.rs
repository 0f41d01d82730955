//! `rate_limit`: one bucket for the whole server, asked before authentication.

use crate::support::*;

/// With these keys of the limit.
fn guard(limit: &str) -> Guard {
    GuardBuilder::new().config(scraper() + &format!("rate_limit: {{{limit}}}\n")).start()
}

#[test]
fn requests_beyond_the_burst_get_429() {
    let guard = guard("interval: 1h, burst: 3");
    // Refusals and connections of others count, too.
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200);
    assert_eq!(guard.connect().get("/metrics").status, 401);
    let mut client = guard.connect();
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    for response in [client.get_as(SCRAPER, "/metrics"), client.get("/metrics")] {
        assert_eq!(response.status, 429);
        assert_eq!(response.text().trim_end(), "Too Many Requests");
        assert_eq!(response.header("www-authenticate"), None);
    }
    let line = guard.wait_log("the refusal", |line| logfmt::field(line, "status") == "429");
    assert_eq!(logfmt::field(&line, "msg"), "Request refused", "{line}");
}

#[test]
fn the_bucket_fills_again() {
    let guard = guard("interval: 200ms, burst: 1");
    let mut client = guard.connect();
    let mut status = || client.get_as(SCRAPER, "/metrics").status;
    assert_eq!(status(), 200);
    assert_eq!(status(), 429);
    eventually("a token", || status() == 200);
    assert_eq!(status(), 429, "one token, not a bucket full");
}

#[test]
fn an_interval_of_0_turns_the_limit_off() {
    for limit in ["interval: 0, burst: 1", "interval: 0s, burst: 0", "burst: 1"] {
        let guard = guard(limit);
        let mut client = guard.connect();
        for _ in 0..5 {
            assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200, "{limit}");
        }
    }
}

#[test]
fn a_burst_of_0_refuses_every_request() {
    let guard = guard("interval: 1s");
    let mut client = guard.connect();
    for _ in 0..3 {
        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 429);
    }
}

/// The bucket is not a fresh one because another section changed.
#[test]
fn a_reload_refills_nothing() {
    let limit = "rate_limit: {interval: 1h, burst: 1}\n";
    let guard = GuardBuilder::new().config(open(limit)).start();
    let mut client = guard.connect();
    assert_eq!(client.get("/metrics").status, 200);
    assert_eq!(client.get("/metrics").status, 429);
    guard.replace("web.yml", format!("{limit}{}", scraper()));
    guard.wait_generation(2);
    assert_eq!(client.get("/metrics").status, 429);
    guard.replace("web.yml", "rate_limit: {}\n".to_owned() + &scraper());
    guard.wait_generation(3);
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200, "without a limit");
}
