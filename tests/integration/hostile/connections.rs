//! More connections than there is room for.

use crate::support::http2::Http2;
use crate::support::*;

/// Asks once and stays.
fn stay(guard: &Guard) -> Client {
    let mut client = guard.connect();
    assert_eq!(client.get("/metrics").status, 200);
    client
}

const TOTAL: &str = "exporter_guard_refused_connections_total{reason=\"too many connections\"}";
const ADDRESS: &str =
    "exporter_guard_refused_connections_total{reason=\"too many connections from one address\"}";

#[test]
fn connections_beyond_the_limit_are_closed_and_counted() {
    let config = limits("max_connections: 5");
    let guard = GuardBuilder::new().config(open(config)).telemetry().start();
    let mut open: Vec<Client> = (0..5).map(|_| stay(&guard)).collect();
    for _ in 0..10 {
        guard.connect().wait_close();
    }
    assert!(guard.metric(TOTAL) >= 10.0);
    guard.wait_message("Connection refused");
    for client in &mut open {
        assert_eq!(client.get("/metrics").status, 200, "existing ones are unharmed");
    }
    open.pop();
    eventually("room again", || guard.connect().try_head_of("/metrics") == Some(200));
}

#[test]
fn one_address_cannot_take_the_room_of_others() {
    let config = limits("max_connections: 100, max_connections_per_address: 3");
    let guard = GuardBuilder::new().config(open(config)).telemetry().start();
    let mut open: Vec<Client> = (0..3).map(|_| stay(&guard)).collect();
    guard.connect().wait_close();
    assert!(guard.metric(ADDRESS) >= 1.0);
    for host in 2..6 {
        let mut other = Client::plain_from([127, 0, 0, host], guard.port());
        assert_eq!(other.get("/metrics").status, 200);
    }
    for client in &mut open {
        assert_eq!(client.get("/metrics").status, 200);
    }
}

/// TLS or not: a refused connection costs no handshake.
#[test]
fn a_connection_beyond_the_limit_costs_no_handshake() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("max_connections: 1"));
    let guard = GuardBuilder::new().config(config).tls(&tls).telemetry().start();
    let mut client = TlsClient::new().connect(guard.port());
    assert_eq!(client.get("/metrics").status, 200);
    assert!(TlsClient::new().try_connect(guard.port()).is_err());
    assert!(guard.metric("exporter_guard_handshake_failures_total").abs() < f64::EPSILON);
}

#[test]
fn a_changed_limit_applies_to_new_connections() {
    let guard = GuardBuilder::new().config(open(limits("max_connections: 3"))).start();
    let mut before: Vec<Client> = (0..3).map(|_| stay(&guard)).collect();
    guard.replace("web.yml", open(limits("max_connections: 1")));
    guard.wait_generation(2);
    for client in &mut before {
        assert_eq!(client.get("/metrics").status, 200);
    }
    guard.connect().wait_close();
}

/// The limit follows what the process may open: 64 descriptors are enough for 16 connections.
#[test]
fn the_limit_of_connections_follows_the_limit_of_descriptors() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new()
        .config(OPEN)
        .upstream(&exporter)
        .inside(&["prlimit", "--nofile=64:64"])
        .telemetry()
        .start();
    let clients: Vec<Client> = (0..100).map(|_| guard.connect()).collect();
    // There is no such metric before the first one.
    guard.wait_message("Connection refused");
    eventually("most are refused", || guard.metric(TOTAL) >= 84.0);
    drop(clients);
    eventually("it recovers", || guard.connect().try_head_of("/metrics") == Some(200));
}

/// The streams of one address are limited over all its connections, and those of others are not.
#[test]
fn one_address_cannot_hold_every_stream() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}{}", scraper(), limits("max_streams_per_address: 5"));
    let guard = GuardBuilder::new().config(config).tls(&tls).telemetry().start();
    let connect = || Http2::connect(guard.port());
    // Each waits for a client that takes nothing of its answer.
    let mut holding: Vec<Http2> = (0..2).map(|_| connect()).collect();
    for client in &mut holding {
        client.no_window();
        for _ in 0..3 {
            client.send_get("/metrics", &[]);
        }
    }
    let refused =
        "exporter_guard_refused_requests_total{reason=\"too many streams from one address\"}";
    guard.wait_message("Stream refused");
    assert!(guard.metric(refused) >= 1.0);
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    let mut client = connect();
    let stream = client.send_get("/metrics", &[("authorization", &authorization)]);
    assert!(client.try_answer(stream).is_err(), "refused");
    drop(holding);
    let mut client = connect();
    eventually("room again", || {
        let stream = client.send_get("/metrics", &[("authorization", &authorization)]);
        client.try_answer(stream).is_ok_and(|answer| answer.ok)
    });
}

/// Descriptors can run out all the same: the next connection waits in the queue of the kernel until
/// another ends.
#[test]
fn running_out_of_descriptors_recovers_by_itself() {
    let guard = GuardBuilder::new().config(OPEN).start();
    let mut open: Vec<Client> = (0..10).map(|_| stay(&guard)).collect();
    let used = std::fs::read_dir(format!("/proc/{}/fd", guard.id())).unwrap().count();
    let mut limit = process::command("prlimit");
    limit.args(["--pid", &guard.id().to_string(), &format!("--nofile={used}:{used}")]);
    process::Finished::run(&mut limit, guard.dir(), b"").expect_code(0);
    let mut waiting = guard.connect();
    waiting.send(get("/metrics", ""));
    guard.wait_log("the failure", |line| line.contains("Accept failed, trying again"));
    assert_eq!(open[0].get("/metrics").status, 200, "existing ones are unharmed");
    open.truncate(5);
    assert_eq!(waiting.response().status, 200);
}

/// The addresses of two scrapers, and of a stranger who has none of their credentials.
const SCRAPER_ADDRESS: [u8; 4] = [127, 0, 0, 2];
const STRANGER_ADDRESS: [u8; 4] = [127, 0, 0, 3];

/// Asks from the scraper's address, with its credentials.
fn scrape(guard: &Guard) -> Client {
    let mut client = Client::plain_from(SCRAPER_ADDRESS, guard.port());
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    client
}

/// Opens connections from an address until one is refused.
fn fill(guard: &Guard, address: [u8; 4]) -> Vec<Client> {
    std::iter::from_fn(|| {
        let mut client = Client::plain_from(address, guard.port());
        client.try_head_of("/metrics").map(|status| {
            assert_eq!(status, 401);
            client
        })
    })
    .collect()
}

#[test]
fn strangers_leave_connections_for_who_has_authenticated() {
    let config = scraper() + &limits("max_connections: 20");
    let guard = GuardBuilder::new().config(config).telemetry().start();
    drop(scrape(&guard));
    eventually("it is closed", || guard.metric("exporter_guard_open_connections") <= 1.0);
    let strangers = fill(&guard, STRANGER_ADDRESS);
    assert_eq!(strangers.len(), 12, "8 are reserved");
    assert!(guard.metric(TOTAL) >= 1.0);
    let mut scrapers = [scrape(&guard), scrape(&guard)];
    assert!(fill(&guard, STRANGER_ADDRESS).is_empty());
    for client in &mut scrapers {
        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
    }
}

/// Without a login there is nobody to reserve for, and each connection is there for everybody.
#[test]
fn nothing_is_reserved_before_somebody_has_authenticated() {
    let config = scraper() + &limits("max_connections: 20");
    let guard = GuardBuilder::new().config(config).start();
    assert_eq!(fill(&guard, STRANGER_ADDRESS).len(), 20);
}

#[test]
fn a_network_that_has_authenticated_has_one_connection_more() {
    let config = scraper() + &limits("max_connections_per_address: 3");
    let guard = GuardBuilder::new().config(config).telemetry().start();
    assert_eq!(fill(&guard, STRANGER_ADDRESS).len(), 3);
    let scraper = scrape(&guard);
    assert_eq!(fill(&guard, SCRAPER_ADDRESS).len(), 3);
    drop(scraper);
    eventually("one more", || !fill(&guard, SCRAPER_ADDRESS).is_empty());
}
