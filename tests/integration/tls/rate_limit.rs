//! `rate_limit`: one bucket for the whole server, asked before authentication, and one for each network
//! that has authenticated before.

use crate::support::*;

/// Another address than that of the other clients.
const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// With these keys of the limit.
fn guard(limit: &str) -> Guard {
    GuardBuilder::new().config(scraper() + &format!("rate_limit: {{{limit}}}\n")).start()
}

#[test]
fn requests_beyond_the_burst_get_429() {
    let guard = guard("interval: 1h, burst: 3");
    // Refusals and connections of others count, too.
    assert_eq!(Client::plain_from(ELSEWHERE, guard.port()).get("/metrics").status, 401);
    assert_eq!(guard.connect().get("/metrics").status, 401);
    let mut client = guard.connect();
    assert_eq!(client.get_as(("scraper", "wrong"), "/metrics").status, 401);
    for response in [client.get_as(SCRAPER, "/metrics"), client.get("/metrics")] {
        assert_eq!(response.status, 429);
        assert_eq!(response.text().trim_end(), "Too Many Requests");
        assert_eq!(response.header("www-authenticate"), None);
    }
    let line = guard.wait_log("the refusal", |line| logfmt::field(line, "status") == "429");
    assert_eq!(logfmt::field(&line, "msg"), "Request refused", "{line}");
}

/// What strangers use up is missing to strangers alone.
#[test]
fn a_network_that_has_authenticated_has_a_bucket_of_its_own() {
    let guard = guard("interval: 1h, burst: 3");
    let mut scraper = guard.connect();
    assert_eq!(scraper.get_as(SCRAPER, "/metrics").status, 200);
    let mut stranger = Client::plain_from(ELSEWHERE, guard.port());
    let statuses = [(); 5].map(|()| stranger.get("/metrics").status);
    assert_eq!(statuses, [401, 401, 429, 429, 429], "the first login took one");
    let statuses = [(); 4].map(|()| scraper.get_as(SCRAPER, "/metrics").status);
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(guard.connect().get("/metrics").status, 429, "who comes from there shares it");
    let mut other = Client::plain_from([127, 0, 0, 3], guard.port());
    assert_eq!(other.get_as(SCRAPER, "/metrics").status, 429, "not known, and so a stranger");
}

/// Where nobody can authenticate there is one bucket, as in the exporter-toolkit.
#[test]
fn without_users_there_is_one_bucket() {
    let limit = "rate_limit: {interval: 1h, burst: 3}\n";
    let guard = GuardBuilder::new().config(open(limit)).start();
    let addresses = [[127, 0, 0, 1], ELSEWHERE, [127, 0, 0, 1], ELSEWHERE];
    let status = |address| Client::plain_from(address, guard.port()).get_as(SCRAPER, "/metrics");
    assert_eq!(addresses.map(|address| status(address).status), [200, 200, 200, 429]);
}

#[test]
fn the_bucket_fills_again() {
    let limit = "rate_limit: {interval: 200ms, burst: 1}\n";
    let guard = GuardBuilder::new().config(open(limit)).start();
    let mut client = guard.connect();
    let mut status = || client.get("/metrics").status;
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
