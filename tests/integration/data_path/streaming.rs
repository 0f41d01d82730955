//! Responses stream: nothing is held back until it is complete, and nothing is too large.

use std::io::Read;
use std::process::Stdio;
use std::sync::mpsc::Sender;

use crate::support::process::command;
use crate::support::*;

/// Sends the first chunk, and the second when told to.
fn two_chunks() -> (Exporter, Sender<()>) {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    Exporter::held(format!("{head}5\r\nfirst\r\n"), "6\r\nsecond\r\n0\r\n\r\n")
}

#[test]
fn the_first_chunk_arrives_before_the_second_is_sent() {
    let (exporter, go) = two_chunks();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter).start();
    let mut client = TlsClient::new().connect(guard.port());
    client.send(get("/metrics", ""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), b"first");
    go.send(()).unwrap();
    assert_eq!(client.chunk().unwrap(), b"second");
    assert_eq!(client.chunk().unwrap(), b"");
}

#[test]
fn the_first_chunk_arrives_before_the_second_is_sent_without_tls() {
    let (exporter, go) = two_chunks();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let mut client = guard.connect();
    client.send(get("/metrics", ""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), b"first");
    go.send(()).unwrap();
    assert_eq!(client.chunk().unwrap(), b"second");
}

#[test]
fn the_first_chunk_arrives_before_the_second_is_sent_over_http2() {
    let (exporter, go) = two_chunks();
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(TLS).tls(&tls);
    let guard = builder.upstream(&exporter).start();
    let mut curl = command("curl");
    curl.args(["--silent", "--no-buffer", "--max-time", "30", "--http2", "--cacert"]);
    curl.arg(guard.path("ca.crt")).arg(guard.url("/"));
    let mut curl = curl.stdout(Stdio::piped()).spawn().expect("curl");
    let mut output = curl.stdout.take().expect("piped");
    let mut first = [0; 5];
    output.read_exact(&mut first).expect("the first chunk");
    assert_eq!(&first, b"first");
    go.send(()).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("the rest");
    assert_eq!(rest, "second");
    assert!(curl.wait().expect("an own child").success());
}

const LARGE: usize = 20 * 1024 * 1024;

/// Bytes that show when some are missing, repeated or moved.
fn large() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()
    };
    (0..LARGE / 4).flat_map(|_| next()).collect()
}

#[test]
fn a_large_page_comes_through_whole() {
    let body = large();
    let with_length = ok("", &body);
    let chunks = body
        .chunks(65_537)
        .flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked: Vec<u8> = head.iter().copied().chain(chunks).chain(*b"0\r\n\r\n").collect();
    let tls = ServerTls::new();
    for response in [with_length, chunked] {
        let exporter = Exporter::answering(response);
        let builder = GuardBuilder::new().config(TLS).tls(&tls);
        let guard = builder.upstream(&exporter).start();
        let url = guard.url("/");
        for flag in ["--http1.1", "--http2"] {
            let fetched = guard.curl().arg(flag).fetch(&url);
            assert!(fetched.response.body == body, "{flag}: {} bytes", fetched.response.body.len());
        }
    }
}

#[test]
fn a_large_request_body_comes_through_whole() {
    let body = large();
    let exporter = Exporter::answering(ok("", PAGE));
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(TLS).tls(&tls);
    let guard = builder.file("body", &body).upstream(&exporter).start();
    let url = guard.url("/");
    let upload = format!("@{}", guard.path("body").display());
    for flag in ["--http1.1", "--http2"] {
        let curl = guard.curl().arg(flag);
        let fetched = curl.arg("--data-binary").arg(&upload).fetch(&url);
        assert_eq!(fetched.response.text(), PAGE);
    }
    for request in exporter.requests() {
        assert!(request.body == body, "{} bytes", request.body.len());
    }
}

/// A scraper that reads slowly, or stops, holds up only itself.
#[test]
fn a_client_that_does_not_read_does_not_delay_others() {
    let body = large();
    let exporter = Exporter::answering(ok("", &body));
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter).start();
    let before = procfs::anonymous_memory(guard.id());
    let mut unread: Vec<Client> = (0..4)
        .map(|_| {
            let mut client = TlsClient::new().connect(guard.port());
            client.send(get("/metrics", ""));
            assert_eq!(client.head().status, 200);
            client
        })
        .collect();
    let mut client = TlsClient::new().connect(guard.port());
    assert!(client.get("/metrics").body == body);
    let grown = procfs::anonymous_memory(guard.id()).saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB more for four clients that do not read");
    for client in &mut unread {
        assert!(client.take(LARGE).expect("the rest is still to be had") == body);
    }
}
