//! What is malformed on the wire gets a clear 4xx or a closed connection, never reaches the
//! exporter as something else, and does not affect other connections.

use crate::support::*;

/// Each ends in a 4xx, or in nothing at all.
const MALFORMED: &[&str] = &[
    "\r\n\r\n\r\n",
    "nonsense\r\n\r\n",
    "GET\r\n\r\n",
    "GET /metrics\r\n\r\n",
    "GET /metrics HTTP/9.9\r\nHost: a\r\n\r\n",
    "GET /metrics FTP/1.1\r\nHost: a\r\n\r\n",
    "G\u{0}T /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /metrics HTTP/1.1\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nX : space before the colon\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nX: nul\u{0}byte\r\n\r\n",
    "GET /metrics HTTP/1.1\r\nHost: a\r\nX\u{1}: control\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: five\r\n\r\nhello",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 6\r\n\r\nhello",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
     0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n",
];

#[test]
fn malformed_requests_get_a_4xx_or_are_closed() {
    let exporter = Exporter::new();
    let config = limits("header_timeout: 2s, response_timeout: 2s");
    let guard = GuardBuilder::new().config(open(config)).upstream(&exporter).start();
    let mut bystander = guard.connect();
    assert_eq!(bystander.get("/metrics").status, 200);
    let mut wrong = Vec::new();
    for request in MALFORMED {
        let mut client = guard.connect();
        client.send(request);
        client.finish_sending();
        if let Some(response) = client.head_or_close()
            && !(400..500).contains(&response.status)
        {
            wrong.push((request, response.status));
        }
        let smuggled = exporter.requests().iter().any(|request| request.target == "/smuggled");
        assert!(!smuggled, "{request:?}");
        assert_eq!(bystander.get("/metrics").status, 200, "after {request:?}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// RFC 9112 section 2.2: empty lines before a request are skipped. A client that sends nothing
/// else does not stay for ever.
#[test]
fn empty_lines_before_a_request_do_not_keep_a_connection_open() {
    let exporter = Exporter::new();
    let config = limits("header_timeout: 1s, idle_timeout: 1s");
    let guard = GuardBuilder::new().config(open(config)).upstream(&exporter).start();
    for lines in 1..5 {
        for end in ["\r\n", "\n"] {
            let mut client = guard.connect();
            client.send(format!("{}{}", end.repeat(lines), get("/metrics", "")));
            if let Some(response) = client.head_or_close() {
                let expected = [200, 400, 408].contains(&response.status);
                assert!(expected, "{lines} {end:?}: {response:?}");
            }
            let mut client = guard.connect();
            client.send(end.repeat(lines));
            client.wait_close();
        }
    }
    // As fast as they can come, which no deadline sees.
    let mut client = guard.connect();
    client.send("\r\n".repeat(5000));
    assert_eq!(client.head().status, 400);
}

/// The lines of a head may end in LF alone (RFC 9112 section 2.2); a parser that takes that must
/// take it throughout.
#[test]
fn bare_line_feeds_do_not_smuggle_a_request() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let inner = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [
        "GET /metrics HTTP/1.1\nHost: a\n\n",
        "GET /metrics HTTP/1.1\r\nHost: a\n\r\n",
        "GET /metrics HTTP/1.1\r\nHost: a\r\nX: y\n\n",
        &format!("POST /metrics HTTP/1.1\nHost: a\nContent-Length: {}\n\n", inner.len()),
        &format!("POST /metrics HTTP/1.1\r\nHost: a\nContent-Length: {}\r\n\n", inner.len()),
    ] {
        let before = exporter.requests().len();
        let mut client = guard.connect();
        client.send(format!("{head}{inner}"));
        client.finish_sending();
        let answers = String::from_utf8_lossy(&client.rest()).matches("HTTP/1.1 ").count();
        let reached = exporter.requests().split_off(before);
        assert!(reached.len() <= answers, "{head:?}: {answers} answers to {reached:#?}");
        let smuggled = reached.iter().any(|request| request.target == "/smuggled");
        assert!(!(smuggled && head.starts_with("POST")), "{head:?}: a body became a request");
    }
}

/// A client that uploads a lot and is refused gets its answer, and the connection does not hang.
#[test]
fn a_large_body_without_credentials_is_refused() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    for framing in ["Content-Length: 8388608", "Transfer-Encoding: chunked"] {
        let mut client = guard.connect();
        client.send(format!("POST /metrics HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        assert_eq!(client.head().status, 401, "{framing}");
    }
    let body = guard.path("body");
    guard::write(&body, vec![b'x'; 8 * 1024 * 1024]);
    let curl = Curl::new().arg("--data-binary").arg(format!("@{}", body.display()));
    let curl = curl.arg("--header").arg("Expect:").arg("--write-out").arg("%{http_code}");
    let finished = curl.arg(format!("http://127.0.0.1:{}/", guard.port())).run();
    assert!(finished.stdout.contains("401"), "{finished}");
    assert_eq!(exporter.requests().len(), 0);
}

/// What came before a malformed request on the same connection is answered.
#[test]
fn a_good_request_before_a_bad_one_is_answered() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let mut client = guard.connect();
    client.send([&get("/metrics", ""), "nonsense\r\n\r\n"].concat());
    assert_eq!(client.response().text(), PAGE);
    let after = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(after.is_empty() || after.starts_with("HTTP/1.1 4"), "{after}");
}

#[test]
fn a_header_that_is_too_large_is_a_431() {
    let exporter = Exporter::new();
    let config = limits("max_header_bytes: 4096");
    let guard = GuardBuilder::new().config(open(config)).upstream(&exporter).start();
    let fits = get("/metrics", &format!("X-Long: {}\r\n", "x".repeat(3000)));
    assert_eq!(guard.connect().request(fits).status, 200);
    let too_long = get("/metrics", &format!("X-Long: {}\r\n", "x".repeat(5000)));
    assert_eq!(guard.connect().request(too_long).status, 431);
    let too_many = get("/metrics", &"X: y\r\n".repeat(1000));
    assert_eq!(guard.connect().request(too_many).status, 431);
    let long_target = get(&format!("/{}", "x".repeat(5000)), "");
    let status = guard.connect().request(long_target).status;
    assert!(status == 431 || status == 414, "{status}");
    assert_eq!(exporter.requests().len(), 1);
}

/// Without a limit in the file there is one all the same.
#[test]
fn an_endless_header_is_cut_off() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let mut client = guard.connect();
    client.send("GET /metrics HTTP/1.1\r\nHost: a\r\n");
    let line = format!("X-Long: {}\r\n", "x".repeat(1000));
    let cut = (0..2000).any(|_| client.try_send(line.as_bytes()).is_err());
    let answer = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(cut || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(exporter.requests().len(), 0);
}

/// Bytes after a request's body are the next request of that connection, with its own credentials.
#[test]
fn a_request_after_a_body_is_a_request_of_its_own() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    let mut client = guard.connect();
    client.send(format!(
        "POST /a HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\nContent-Length: 4\r\n\r\n\
         bodyGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    ));
    assert_eq!(client.response().status, 200);
    if let Some(response) = client.head_or_close() {
        assert_eq!(response.status, 401, "for want of credentials");
    }
    assert_eq!(exporter.request().body, b"body");
}
