//! The exporter may die at any moment, or answer more than it was asked, and no other request is
//! harmed. Stock pingora may use a connection again whose last response was not read to its end.

use crate::support::exporter::always;
use crate::support::*;

/// Dies in the middle of `/dying`, and answers everything else.
fn dying(first: &'static [u8]) -> Exporter {
    Exporter::scripted(move |request, out| match request.target.as_str() {
        "/dying" => {
            out.write_all(first)?;
            out.flush()?;
            Ok(Next::Close)
        }
        _ => always(ok("", PAGE))(request, out),
    })
}

const WITH_LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthe first part";
const CHUNKED: &[u8] =
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n3e8\r\nhalf";

/// A scraper must not take half a page for a whole one.
#[test]
fn half_a_response_is_not_ended_as_a_whole_one() {
    for first in [WITH_LENGTH, CHUNKED] {
        let exporter = dying(first);
        let tls = ServerTls::new();
        let builder = GuardBuilder::new().config(TLS).tls(&tls);
        let guard = builder.upstream(&exporter).start();
        let mut client = TlsClient::new().connect(guard.port());
        client.send(get("/dying", ""));
        // To have said nothing yet and answer 502 is as good.
        if client.try_head().is_ok_and(|head| head.status == 200) {
            let rest = client.rest();
            assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", String::from_utf8_lossy(&rest));
            assert!(rest.len() < 1000);
        }
        let url = guard.url("/dying");
        let curl = guard.curl().arg("--http2").arg("--fail").arg(url);
        let finished = curl.run();
        assert_ne!(finished.code, Some(0), "{finished}");
    }
}

#[test]
fn an_exporter_that_dies_during_a_response_does_not_affect_others() {
    let exporter = dying(WITH_LENGTH);
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter).start();
    let mut bystander = TlsClient::new().connect(guard.port());
    let mut http2 = Http2::connect(guard.port());
    for _ in 0..5 {
        let mut client = TlsClient::new().connect(guard.port());
        client.send(get("/dying", ""));
        let _ = client.try_rest();
        assert_eq!(bystander.get("/metrics").text(), PAGE);
        // One stream's end is not the connection's.
        let broken = http2.send_get("/dying", &[]);
        assert!(http2.try_answer(broken).is_err_and(|e| e.to_string().contains("reset")));
        assert!(http2.get("/metrics", &[]).ok);
    }
    // That the guard did not panic is checked when it is dropped.
}

#[test]
fn a_client_that_leaves_during_a_response_does_not_affect_others() {
    let large = ok("", vec![b'x'; 8 * 1024 * 1024]);
    let exporter = Exporter::scripted(move |request, out| match request.target.as_str() {
        "/large" => always(large.clone())(request, out),
        _ => always(ok("", PAGE))(request, out),
    });
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter).start();
    let mut bystander = TlsClient::new().connect(guard.port());
    for _ in 0..5 {
        let mut client = TlsClient::new().connect(guard.port());
        client.send(get("/large", ""));
        assert_eq!(client.head().status, 200);
        drop(client);
        assert_eq!(bystander.get("/metrics").text(), PAGE);
    }
}

/// The connection to the exporter that a lost client leaves behind holds the rest of its page; it
/// must not be what the next client gets.
#[test]
fn the_rest_of_an_abandoned_response_reaches_no_other_client() {
    let exporter = Exporter::scripted(|request, out| {
        let body = request.target.repeat(300_000);
        always(ok("", body))(request, out)
    });
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    for i in 0..10 {
        let mut client = guard.connect();
        client.send(get(&format!("/lost{i}"), ""));
        assert_eq!(client.head().status, 200);
        drop(client);
        let target = format!("/kept{i}");
        assert!(guard.connect().get(&target).text() == target.repeat(300_000));
    }
}

/// An exporter that says more than it announced, too.
#[test]
fn the_excess_of_a_long_response_reaches_no_other_client() {
    let exporter = Exporter::scripted(|request, out| {
        let mut response = ok("", &request.target);
        if request.target == "/long" {
            // In one piece: what comes after the connection went back to the pool cannot be told
            // from an answer.
            response.extend(ok("", "smuggled"));
        }
        out.write_all(&response)?;
        Ok(Next::KeepAlive)
    });
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    for _ in 0..5 {
        assert_eq!(guard.connect().get("/long").text(), "/long");
        assert_eq!(guard.connect().get("/next").text(), "/next");
    }
}

/// The body of a request that was refused is not read as the next request.
#[test]
fn the_body_of_a_refused_request_is_not_a_request() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    let smuggled =
        get("/smuggled", &format!("Authorization: {authorization}\r\nConnection: close\r\n"));
    let mut client = guard.connect();
    client.send(format!(
        "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    ));
    assert_eq!(client.response().status, 401);
    client.send(get("/after", &format!("Authorization: {authorization}\r\n")));
    // The body was skipped, or the connection closed.
    if let Some(response) = client.head_or_close() {
        assert_eq!(response.status, 200);
    }
    let targets: Vec<String> = exporter.requests().into_iter().map(|r| r.target).collect();
    assert!(!targets.contains(&"/smuggled".to_owned()), "{targets:?}");
}
