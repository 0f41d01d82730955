//! Authentication belongs to the request, not to the connection.

use crate::support::*;

#[test]
fn a_refusal_keeps_the_connection() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let mut client = guard.connect();
    for _ in 0..3 {
        assert_eq!(client.get("/metrics").status, 401);
        assert_eq!(client.get_as(("scraper", "wrong"), "/metrics").status, 401);
        assert_eq!(client.get_as(SCRAPER, "/metrics").text(), PAGE);
    }
}

#[test]
fn a_connection_that_was_admitted_is_asked_again_at_each_request() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let mut client = guard.connect();
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    assert_eq!(client.get("/metrics").status, 401);
}

#[test]
fn each_http2_stream_needs_its_own_credentials() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).start();
    let mut client = Http2::connect(guard.port());
    let (good, bad) = (basic(SCRAPER.0, SCRAPER.1), basic(SCRAPER.0, "wrong"));
    for _ in 0..2 {
        assert!(client.get("/metrics", &[("authorization", &good)]).ok);
        for headers in [&[("authorization", &*bad)][..], &[]] {
            let refused = client.get("/metrics", headers);
            assert!(!refused.ok);
            assert_eq!(String::from_utf8_lossy(&refused.body).trim_end(), "Unauthorized");
        }
    }
}

#[test]
fn a_removed_password_is_refused_at_the_next_request_of_an_open_connection() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).start();
    let mut http1 = TlsClient::new().connect(guard.port());
    let mut http2 = Http2::connect(guard.port());
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    let headers = [("authorization", &*authorization)];
    assert_eq!(http1.get_as(SCRAPER, "/metrics").status, 200);
    assert!(http2.get("/metrics", &headers).ok);

    guard.replace("web.yml", format!("{TLS}{}", users(&[("other", &quick_hash("p"))])));
    guard.wait_generation(2);
    assert_eq!(http1.get_as(SCRAPER, "/metrics").status, 401);
    assert!(!http2.get("/metrics", &headers).ok);
    assert_eq!(http1.get_as(("other", "p"), "/metrics").status, 200, "and goes on");
}

#[test]
fn a_changed_password_ends_what_was_remembered_of_the_old_one() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let mut client = guard.connect();
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    guard.replace("web.yml", users(&[(SCRAPER.0, &quick_hash("changed"))]));
    guard.wait_generation(2);
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 401);
    assert_eq!(client.get_as((SCRAPER.0, "changed"), "/metrics").status, 200);
}
