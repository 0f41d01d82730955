//! HTTP on a TLS port, TLS on a plain one, and neither.

use crate::support::*;

/// Limits that no test lasts: what is closed is closed for what it sent.
fn no_time_limits() -> String {
    limits("handshake_timeout: 1h, header_timeout: 1h, idle_timeout: 1h")
}

/// The same words as those of Go's server.
#[test]
fn plain_http_on_a_tls_port_is_a_400_with_a_hint() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    for request in [
        get("/metrics", ""),
        get("/metrics", &format!("X-Long: {}\r\n", "x".repeat(3000))),
        "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
    ] {
        let mut client = guard.connect();
        client.send(request);
        let response = client.response();
        assert_eq!(response.status, 400);
        let hint = "Client sent an HTTP request to an HTTPS server.";
        assert_eq!(response.text().trim_end(), hint);
    }
    let curl = Curl::new().fetch(&format!("http://127.0.0.1:{}/", guard.port()));
    assert_eq!(curl.response.status, 400);
}

#[test]
fn tls_on_a_plain_port_is_closed() {
    let guard = GuardBuilder::new().config(open(no_time_limits())).start();
    assert!(TlsClient::new().try_connect(guard.port()).is_err());
    let mut client = guard.connect();
    client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    client.wait_close();
}

#[test]
fn nonsense_on_a_tls_port_is_closed() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", no_time_limits());
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    for nonsense in [
        &b"\x00\x00\x00\x00\x00\x00\x00\x00"[..],
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10",
    ] {
        let mut client = guard.connect();
        client.send(nonsense);
        client.finish_sending();
        assert!(client.closes_within(process::PATIENCE), "{nonsense:?}");
    }
    assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200);
}

/// HTTP/2 without TLS is not offered: a preface on a plain port is a malformed request.
#[test]
fn an_http2_preface_on_a_plain_port_is_refused() {
    let guard = GuardBuilder::new().config(OPEN).start();
    let mut client = guard.connect();
    client.send(http2::PREFACE);
    client.send(http2::settings(&[]));
    if let Some(response) = client.head_or_close() {
        assert!((400..600).contains(&response.status), "{response:?}");
    }
}

#[test]
fn a_connection_that_sends_nothing_is_not_logged() {
    let tls = ServerTls::new();
    let guard =
        GuardBuilder::new().config(TLS.to_owned() + "basic_auth_users: {}\n").tls(&tls).start();
    for _ in 0..5 {
        drop(guard.connect());
    }
    assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200);
    let complaints: Vec<String> =
        guard.stderr().into_iter().filter(|line| line.contains("level=WARN")).collect();
    assert_eq!(complaints, [""; 0]);
}
