//! Clients that take their time, in every phase of a connection: each phase ends.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::support::*;

/// Of every kind at a time.
const CLIENTS: usize = 100;
const MANY_CLIENTS: usize = 1000;

/// So that the test is over soon; 10 s and more by default.
const SHORT: &str = "proxy: {limits: {handshake_timeout: 1s, header_timeout: 1s, body_timeout: 1s, write_timeout: 1s, idle_timeout: 1s}}\n";
const HALF_A_MINUTE_AT_MOST: &str = "proxy: {limits: {idle_timeout: 10s}}\n";

/// A page that fits into no socket's buffers.
const LARGE: usize = 16 * 1024 * 1024;

/// The user of the slow clients; each user has a share of the requests in flight.
const SLOW: (&str, &str) = ("slow", "coach");

/// How a kind of client begins, and what it goes on to send, a byte at a time.
struct Kind {
    name: &'static str,
    tls: bool,
    begin: fn(&Guard) -> Client,
    then: &'static [u8],
}

/// A ClientHello record of 512 bytes, of which only the beginning comes.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

fn two_users() -> String {
    users(&[(SCRAPER.0, &quick_hash(SCRAPER.1)), (SLOW.0, &quick_hash(SLOW.1))])
}

fn request(more: &str) -> String {
    get("/metrics", &(authorization(SLOW) + more))
}

fn sent(guard: &Guard, bytes: impl AsRef<[u8]>) -> Client {
    let mut client = guard.connect();
    client.send(bytes);
    client
}

fn http2(guard: &Guard) -> Client {
    TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port())
}

const KINDS: [Kind; 11] = [
    Kind { name: "TCP without TLS", tls: true, begin: |guard| guard.connect(), then: b"" },
    Kind { name: "TCP without a request", tls: false, begin: |guard| guard.connect(), then: b"" },
    Kind {
        name: "a slow ClientHello",
        tls: true,
        begin: |guard| sent(guard, HALF_A_HELLO),
        then: b"\0",
    },
    Kind {
        name: "a slow head",
        tls: false,
        begin: |guard| sent(guard, "GET / HTTP/1.1\r\nX: "),
        then: b"x",
    },
    Kind { name: "empty lines", tls: false, begin: |guard| guard.connect(), then: b"\n" },
    Kind {
        name: "a slow body",
        tls: false,
        begin: |guard| sent(guard, request("Content-Length: 100000\r\n")),
        then: b"x",
    },
    Kind {
        name: "a slow chunked body",
        tls: false,
        begin: |guard| sent(guard, request("Transfer-Encoding: chunked\r\n")),
        then: b"1",
    },
    Kind { name: "slow reading", tls: false, begin: |guard| sent(guard, request("")), then: b"" },
    Kind { name: "HTTP/2 without preface", tls: true, begin: http2, then: b"" },
    Kind {
        name: "HTTP/2 without a stream",
        tls: true,
        begin: |guard| Http2::begin(http2(guard)).into_client(),
        then: b"",
    },
    Kind {
        name: "HTTP/2 that takes nothing",
        tls: true,
        begin: |guard| {
            let mut client = Http2::begin(http2(guard));
            client.no_window();
            client.send_get("/metrics", &[("authorization", &basic(SLOW.0, SLOW.1))]);
            client.into_client()
        },
        then: b"",
    },
];

fn guard(tls: bool, exporter: &Exporter, limits: &str) -> (Guard, ServerTls) {
    let server = ServerTls::new();
    let section = if tls { TLS } else { "" };
    let config = format!("{section}{}{limits}", two_users());
    let builder = GuardBuilder::new().config(config).tls(&server).upstream(exporter).telemetry();
    (builder.start(), server)
}

/// Connections of a kind, kept up as well as they can be: the guard ends each, and answers the good
/// probe all the while.
fn outlive(kind: &Kind, guard: &Guard, count: usize, patience: Duration) {
    let probe = || {
        if kind.tls { TlsClient::new().connect(guard.port()) } else { guard.connect() }
    };
    assert_eq!(probe().get_as(SCRAPER, "/small").status, 200);
    let mut clients: Vec<Client> = (0..count).map(|_| (kind.begin)(guard)).collect();
    let sockets: Vec<TcpStream> = clients.iter_mut().map(Client::socket).collect();
    let trickle = |_number, stop: &load::Stop| {
        while !stop.is_set() {
            for mut socket in &sockets {
                // One that was closed takes nothing more.
                let _ = socket.write(kind.then);
            }
            // The pace of the attack.
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    load::beside(1, trickle, || {
        eventually_within(patience, kind.name, || {
            assert_eq!(probe().get_as(SCRAPER, "/small").status, 200, "the good probe");
            // The connection that asks, and probes whose end is not seen yet.
            guard.metric("exporter_guard_open_connections") < 4.0
        });
    });
}

fn outlive_all(count: usize, limits: &str, patience: Duration) {
    let large = ok("", vec![b'x'; LARGE]);
    let exporter = Exporter::scripted(move |request, out| match request.target.as_str() {
        "/small" => exporter::always(ok("", PAGE))(request, out),
        _ => exporter::always(large.clone())(request, out),
    });
    let guards = [false, true].map(|tls| guard(tls, &exporter, limits));
    for kind in &KINDS {
        outlive(kind, &guards[usize::from(kind.tls)].0, count, patience);
    }
}

/// The deadline for the body of a request is for nothing that comes after it.
#[test]
fn the_deadline_of_a_refused_body_ends_with_the_answer() {
    let config = two_users() + &limits("body_timeout: 1s");
    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    let mut client = guard.connect();
    client.send("POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(client.response().status, 401);
    // Another body, begun later and never whole, has had its time.
    let mut later = guard.connect();
    later.send(request("Content-Length: 1\r\n"));
    later.wait_close();
    for _ in 0..10 {
        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    }
}

#[test]
fn every_phase_of_a_slow_connection_ends() {
    outlive_all(CLIENTS, SHORT, Duration::from_secs(60));
}

#[test]
#[ignore = "takes minutes"]
fn every_phase_of_a_thousand_slow_connections_ends_by_default() {
    // The kernel takes gigabytes for those that do not read before they block.
    outlive_all(MANY_CLIENTS, HALF_A_MINUTE_AT_MOST, Duration::from_secs(240));
}
