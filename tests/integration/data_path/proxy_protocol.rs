//! `proxy.proxy_protocol`: a listed load balancer names its client; other sources cannot.

use crate::support::*;

const LISTEN: &str = "127.0.0.1:0";

fn config(sources: &str, more: &str) -> String {
    let balancer = format!(
        "
        proxy_protocol:
        - listen_address: {LISTEN}
          sources: [{sources}]
        "
    );
    proxy(&(yaml(&balancer) + more))
}

fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    [b"\r\n\r\n\0\r\nQUIT\n", &[0x20 | command, family][..], &length, addresses].concat()
}

/// From 192.0.2.7 port 1000.
const V4: &[u8] = b"\xc0\x00\x02\x07\x7f\x00\x00\x01\x03\xe8\x24\xe3";

fn forwarded_for(exporter: &Exporter) -> Vec<String> {
    let of = |request: &exporter::Request| request.values("x-forwarded-for").join(", ");
    exporter.requests().iter().map(of).collect()
}

#[test]
fn the_client_address_is_what_the_balancer_says() {
    let exporter = Exporter::new();
    let guard =
        GuardBuilder::new().config(open(config("127.0.0.1", ""))).upstream(&exporter).start();
    let headers: [(Vec<u8>, &str); 6] = [
        (b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n".to_vec(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8:0::7 ::1 1 2\r\n".to_vec(), "2001:db8::7"),
        (v2(1, 0x11, V4), "192.0.2.7"),
        // With an extension of an unknown type.
        (v2(1, 0x11, &[V4, b"\xe0\x00\x02hi"].concat()), "192.0.2.7"),
        // The balancer asks for itself, or for a client without an address.
        (v2(0, 0, b""), "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
    ];
    for (header, expected) in &headers {
        let mut client = guard.connect();
        // In pieces, the last together with the request.
        let (first, last) = header.split_at(header.len() / 2);
        client.send(first);
        client.send([last, get("/metrics", "X-Forwarded-For: 6.6.6.6\r\n").as_bytes()].concat());
        assert_eq!(client.response().status, 200);
        assert_eq!(client.get("/metrics").status, 200, "once for a connection");
        assert_eq!(forwarded_for(&exporter).last().map(String::as_str), Some(*expected));
    }
}

/// Also of those that come no further than the handshake.
#[test]
fn the_log_names_the_client_that_the_balancer_names() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", config("127.0.0.1", ""));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let mut client = guard.connect();
    client.send(format!("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n{}", get("/metrics", "")));
    client.wait_close();
    guard.wait_log("the failure", |line| {
        logfmt::field(line, "msg") == "Handshake failed"
            && logfmt::field(line, "remote") == "192.0.2.7:1"
    });
}

#[test]
fn a_header_that_is_missing_or_broken_ends_the_connection() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new()
        .config(open(config("127.0.0.1", "")))
        .upstream(&exporter)
        .telemetry()
        .start();
    for broken in [
        get("/metrics", "").into_bytes(),
        b"PROXY TCP4 192.0.2.7\r\n".to_vec(),
        b"PROXY TCP4 999.0.2.7 192.0.2.8 1 2\r\n".to_vec(),
        [b"PROXY ", [b'x'; 200].as_slice()].concat(),
        v2(7, 0x11, V4),
    ] {
        let mut client = guard.connect();
        client.send([broken.as_slice(), get("/metrics", "").as_bytes()].concat());
        assert_eq!(client.rest(), b"");
    }
    guard.wait_log("the reason", |line| logfmt::field(line, "reason") == "no valid PROXY header");
    eventually("all are counted", || {
        guard.metric("exporter_guard_handshake_failures_total") >= 5.0
    });
    assert_eq!(exporter.requests().len(), 0);
}

#[test]
fn a_source_that_is_not_listed_cannot_name_a_client() {
    let exporter = Exporter::new();
    let guard =
        GuardBuilder::new().config(open(config("127.0.0.9/32", ""))).upstream(&exporter).start();
    assert_eq!(guard.connect().get("/metrics").status, 200);
    assert_eq!(forwarded_for(&exporter), ["127.0.0.1"]);
    let mut unlisted = guard.connect();
    unlisted.send("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n".to_owned() + &get("/metrics", ""));
    assert_eq!(unlisted.head_or_close().map_or(400, |response| response.status), 400);
    assert_eq!(exporter.requests().len(), 1);
    let mut balancer = Client::plain_from([127, 0, 0, 9], guard.port());
    balancer.send("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n".to_owned() + &get("/metrics", ""));
    assert_eq!(balancer.response().status, 200);
}

/// A real client, with TLS behind the header.
#[test]
fn the_header_that_curl_sends_is_read() {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", config("127.0.0.0/8", ""));
    let guard = GuardBuilder::new().config(config).tls(&tls).upstream(&exporter).start();
    let url = guard.url("/metrics");
    let mut curl = process::command("curl");
    curl.args(["-sSk", "--haproxy-protocol", "--max-time", "20", &url]);
    let fetched = process::Finished::run(&mut curl, guard.dir(), b"").expect_code(0);
    assert_eq!(fetched.stdout, PAGE);
}

/// The limits are for clients, not for the balancer that all of them come through.
#[test]
fn limits_by_address_count_the_clients_behind_the_balancer() {
    let limits = "limits: {max_connections_per_address: 2}";
    let guard = GuardBuilder::new().config(open(config("127.0.0.1", limits))).start();
    let connect = |client: u8| {
        let mut connection = guard.connect();
        connection.send(format!("PROXY TCP4 192.0.2.{client} 192.0.2.99 1 2\r\n"));
        let status = connection.try_head_of("/metrics");
        (connection, status)
    };
    let opened: Vec<_> = [1, 1, 2, 2, 3].map(connect).into();
    assert!(opened.iter().all(|(_, status)| *status == Some(200)));
    assert_eq!(connect(1).1, None);
    assert_eq!(connect(3).1, Some(200));
}

#[test]
fn a_listener_that_does_not_exist_is_an_error() {
    let other = config("127.0.0.1", "").replace(LISTEN, "':1'");
    let refused = GuardBuilder::new().config(open(&other)).fail_to_start().expect_code(1);
    assert!(
        refused.stderr.contains("no listener is called \":1\"; there is 127.0.0.1:0"),
        "{refused}"
    );
    let guard = GuardBuilder::new().config(OPEN).start();
    guard.write("web.yml", open(other));
    guard.wait_failed_reload(1);
    guard.write("web.yml", open(config("127.0.0.1", "")));
    guard.wait_generation(2);
    let mut client = guard.connect();
    client.send(get("/metrics", ""));
    client.wait_close();
}
