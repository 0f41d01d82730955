//! Exporters speak plain HTTP: nothing turns a guarded connection into something else.

use crate::support::*;

#[test]
fn a_websocket_upgrade_is_not_forwarded() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    let response = guard.connect().request(get(
        "/live",
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ));
    assert_ne!(response.status, 101);
    for request in exporter.requests() {
        assert!(!request.has("upgrade"), "{request:#?}");
        let connection = request.values("connection").join(",").to_ascii_lowercase();
        assert!(!connection.contains("upgrade"), "{request:#?}");
    }
}

/// Also when the exporter switches protocols without being asked.
#[test]
fn a_101_from_the_exporter_opens_no_tunnel() {
    let exporter = Exporter::answering(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
         tunnelled",
    );
    let config = limits("response_timeout: 1s");
    let guard = GuardBuilder::new().config(open(config)).upstream(&exporter).start();
    let mut client = guard.connect();
    client.send(get("/live", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
    let all = String::from_utf8_lossy(&client.rest()).into_owned();
    assert!(!all.contains(" 101 ") && !all.contains("tunnelled"), "{all}");
}

#[test]
fn connect_is_refused() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(OPEN).upstream(&exporter).start();
    for target in ["example.com:443", "127.0.0.1:22", "localhost:9100"] {
        let mut client = guard.connect();
        client.send(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"));
        let response = client.head();
        assert!((400..500).contains(&response.status), "{target}: {response:?}");
    }
    assert_eq!(exporter.requests().len(), 0);
}
