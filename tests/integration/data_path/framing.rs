//! Message framing: lengths, chunks, bodies that are not there, and old clients.

use std::io::Write;

use crate::support::exporter::Request;
use crate::support::*;

fn in_front_of(exporter: &Exporter) -> Guard {
    GuardBuilder::new().config(OPEN).upstream(exporter).start()
}

/// A guard with TLS for HTTP/2 in front of `exporter`, and the URL.
fn with_tls(exporter: &Exporter) -> (Guard, String) {
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(TLS).tls(&tls);
    let guard = builder.upstream(exporter).start();
    let url = guard.url("/metrics");
    (guard, url)
}

/// An empty DATA frame is nothing; an empty chunk ends a body, and what came after it would be taken
/// for the next request.
#[test]
fn empty_frames_of_http2_end_nothing() {
    let exporter = Exporter::new();
    let (guard, _) = with_tls(&exporter);
    let mut client = Http2::connect(guard.port());
    for pieces in [&[&b""[..], b""][..], &[b"", b"abc", b"", b"de", b""], &[b"", b"", b"", b"x"]] {
        assert!(client.get_with_body("/metrics", &[], pieces).ok);
        let asked = exporter.requests().pop().expect("a request");
        assert_eq!(asked.body, pieces.concat(), "{pieces:?}");
        assert!(client.get("/metrics", &[]).ok, "after {pieces:?}");
    }
    let lines: Vec<String> = exporter.requests().iter().map(|asked| asked.method.clone()).collect();
    assert_eq!(lines, ["GET"; 6]);
    // A request may come before the connection of the one before it is free again, but not each time.
    assert!(exporter.connections() < lines.len(), "{} connections", exporter.connections());
}

#[test]
fn head_has_a_length_and_no_body() {
    let exporter = Exporter::answering("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n");
    let guard = in_front_of(&exporter);
    let mut client = guard.connect();
    for _ in 0..2 {
        client.send("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let response = client.head();
        assert_eq!(response.status, 200);
        assert_eq!(response.header("content-length"), Some("1234"));
    }
    assert_eq!(exporter.requests()[0].method, "HEAD");
    assert_eq!(exporter.connections(), 1, "the exporter's connection is used again");

    let (guard, url) = with_tls(&exporter);
    let curl = guard.curl().arg("--http2").arg("--head");
    let fetched = curl.fetch(&url);
    assert_eq!((fetched.response.status, fetched.http_version.as_str()), (200, "2"));
    assert_eq!(fetched.response.header("content-length"), Some("1234"));
}

#[test]
fn responses_without_a_body_leave_the_connection_usable() {
    for response in [
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nETag: \"a\"\r\n\r\n",
    ] {
        let status: u16 = response[9..12].parse().unwrap();
        let exporter = Exporter::answering(response);
        let guard = in_front_of(&exporter);
        let mut client = guard.connect();
        for _ in 0..2 {
            let response = client.request(get("/metrics", "If-None-Match: \"a\"\r\n"));
            assert_eq!(response.status, status);
            assert_eq!(response.header("etag"), Some("\"a\""));
            assert_eq!(response.header("transfer-encoding"), None);
        }
        assert_eq!(exporter.requests()[0].values("if-none-match"), ["\"a\""]);
        assert_eq!(exporter.connections(), 1);
        let (guard, url) = with_tls(&exporter);
        let fetched = guard.curl().arg("--http2").fetch(&url);
        assert_eq!((fetched.response.status, fetched.http_version.as_str()), (status, "2"));
        assert_eq!(fetched.response.text(), "");
    }
}

#[test]
fn a_client_that_expects_100_continue_gets_it_and_its_answer() {
    let exporter = Exporter::scripted(|request, out| {
        out.write_all(&ok("", &request.body))?;
        Ok(Next::KeepAlive)
    });
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let mut client = guard.connect();
    let post = |authorization: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\n{authorization}\
             Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let authorization = authorization(SCRAPER);
    let interim = client.request(post(&authorization));
    assert_eq!(interim.status, 100);
    let response = client.request("hello");
    assert_eq!((response.status, response.text().as_str()), (200, "hello"));

    // Without credentials there is nothing to continue.
    let response = guard.connect().request(post(""));
    assert_eq!(response.status, 401);
    assert_eq!(exporter.requests().len(), 1);
}

fn echo(request: &Request, out: &mut dyn Write) -> std::io::Result<Next> {
    out.write_all(&ok("", &request.body))?;
    Ok(Next::KeepAlive)
}

#[test]
fn request_bodies_pass_with_a_length_and_chunked() {
    let exporter = Exporter::scripted(echo);
    let guard = in_front_of(&exporter);
    let mut client = guard.connect();
    let post = "POST /probe HTTP/1.1\r\nHost: localhost\r\n";
    let response = client.request(format!("{post}Content-Length: 11\r\n\r\nhello world"));
    assert_eq!(response.text(), "hello world");
    let chunks = "6\r\nhello \r\n5;ext=1\r\nworld\r\n0\r\n\r\n";
    let response = client.request(format!("{post}Transfer-Encoding: chunked\r\n\r\n{chunks}"));
    assert_eq!(response.text(), "hello world");
    let response = client.request(format!("{post}Content-Length: 0\r\n\r\n"));
    assert_eq!(response.text(), "");
    for request in exporter.requests() {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/probe"));
        let framings =
            request.values("content-length").len() + request.values("transfer-encoding").len();
        assert_eq!(framings, 1, "{request:?}");
    }

    let (guard, url) = with_tls(&exporter);
    let curl = guard.curl().arg("--http2");
    let fetched = curl.arg("--data-binary").arg("hello h2").fetch(&url);
    assert_eq!(fetched.http_version, "2");
    assert_eq!(fetched.response.text(), "hello h2");
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                       5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";

#[test]
fn chunked_responses_pass() {
    let exporter = Exporter::answering(CHUNKED);
    let guard = in_front_of(&exporter);
    let mut client = guard.connect();
    for _ in 0..2 {
        let response = client.get("/metrics");
        assert_eq!(response.text(), "hello world");
        assert_eq!(response.header("content-length"), None);
    }
    let (guard, url) = with_tls(&exporter);
    let fetched = guard.curl().arg("--http2").fetch(&url);
    assert_eq!(
        (fetched.http_version.as_str(), fetched.response.text().as_str()),
        ("2", "hello world")
    );
}

/// RFC 9112 section 6.1: an HTTP/1.0 client knows no chunks; the end of the connection ends the
/// body.
#[test]
fn an_http_1_0_client_gets_no_chunks() {
    let exporter = Exporter::answering(CHUNKED);
    let guard = in_front_of(&exporter);
    let mut client = guard.connect();
    client.send("GET /metrics HTTP/1.0\r\n\r\n");
    let response = client.head();
    assert_eq!(response.status, 200);
    assert_eq!(response.header("transfer-encoding"), None);
    let body = client.try_rest().expect("closed when the body is complete");
    assert_eq!(String::from_utf8_lossy(&body), "hello world");
    let request = exporter.request();
    assert!(request.has("host") || request.version == "HTTP/1.0", "{request:#?}");
}

#[test]
fn an_http_1_0_client_gets_a_page_with_a_length() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let mut client = guard.connect();
    client.send("GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.head().status, 401);
    let mut client = guard.connect();
    let login = authorization(SCRAPER);
    client.send(format!("GET /metrics HTTP/1.0\r\nHost: localhost\r\n{login}\r\n"));
    let response = client.head();
    assert_eq!(response.header("content-length"), Some(PAGE.len().to_string().as_str()));
    let body = client.try_rest().expect("an HTTP/1.0 connection is closed after the answer");
    assert_eq!(String::from_utf8_lossy(&body), PAGE);
}

/// The way of Python's http.server and of a shell script behind netcat.
#[test]
fn a_response_that_ends_with_the_exporters_connection_is_complete() {
    let exporter = Exporter::scripted(|_, out| {
        out.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")?;
        out.write_all(PAGE.as_bytes())?;
        Ok(Next::Close)
    });
    let guard = in_front_of(&exporter);
    let mut client = guard.connect();
    assert_eq!(client.get("/metrics").text(), PAGE);
    let (guard, url) = with_tls(&exporter);
    let fetched = guard.curl().arg("--http2").fetch(&url);
    assert_eq!(fetched.response.text(), PAGE);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let exporter = Exporter::scripted(|request, out| {
        out.write_all(&ok("", &request.target))?;
        Ok(Next::KeepAlive)
    });
    let guard = GuardBuilder::new().config(scraper()).upstream(&exporter).start();
    let authorization = authorization(SCRAPER);
    let mut client = guard.connect();
    client.send([get("/1", &authorization), get("/2", ""), get("/3", &authorization)].concat());
    let answers: Vec<(u16, String)> =
        (0..3).map(|_| client.response()).map(|r| (r.status, r.text())).collect();
    assert_eq!(answers[0], (200, "/1".to_owned()));
    assert_eq!(answers[1].0, 401);
    assert_eq!(answers[2], (200, "/3".to_owned()));
}

/// RFC 9112 section 9.6: a client may close its side once it has asked.
#[test]
fn a_client_that_has_closed_its_side_gets_its_answer() {
    let (exporter, release) = Exporter::held("", ok("", PAGE));
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).telemetry().start();
    let mut client = guard.connect();
    client.send(get("/metrics", ""));
    eventually("the exporter is asked", || exporter.requests().len() == 1);
    client.finish_sending();
    let socket = client.socket();
    eventually("the guard is told of the end", || procfs::has_end(&socket));
    // What came to the guard before this is seen to by now.
    assert_eq!(guard.telemetry().get("/-/healthy").status, 200);
    release.send(()).unwrap();
    assert_eq!(client.response().text(), PAGE);
}

#[test]
fn a_client_that_asks_to_close_is_closed() {
    let exporter = Exporter::new();
    let guard = in_front_of(&exporter);
    let mut client = guard.connect();
    let response = client.request(get("/metrics", "Connection: close\r\n"));
    assert_eq!(response.text(), PAGE);
    assert_eq!(client.try_rest().expect("closed"), b"");
}
