//! What is idle costs next to nothing. Stock pingora keeps a read buffer of 64 KiB for each
//! connection and a timer thread that wakes up a hundred times a second.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::ports::Refusing;
use crate::support::procfs::{anonymous_memory, context_switches, thread_names};
use crate::support::*;

/// Stock pingora: 97 to 104 KiB. The bound is for a debug build on any allocator; the release
/// build's goal is measured in the benches.
#[test]
fn an_idle_tls_connection_costs_little_memory() {
    const CONNECTIONS: usize = 200;
    const BOUND_KIB: u64 = 40;
    let exporter = Exporter::answering(ok("", "x".repeat(57_000)));
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).upstream(&exporter).start();
    let client = TlsClient::new();
    let open = |count: usize| -> Vec<Client> {
        (0..count)
            .map(|_| {
                let mut client = client.connect(guard.port());
                assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
                client
            })
            .collect()
    };
    // What the first connections cost once is not what a connection costs.
    let warm = open(20);
    let before = anonymous_memory(guard.id());
    let idle = open(CONNECTIONS);
    let each = anonymous_memory(guard.id()).saturating_sub(before) / CONNECTIONS as u64;
    assert!(each < BOUND_KIB, "{each} KiB for each idle connection");
    drop((warm, idle));
}

/// Stock pingora: 98 wake-ups a second from its timer thread, once anything has used a timeout.
#[test]
fn an_idle_guard_wakes_up_less_than_twice_a_second() {
    const LOOK: Duration = Duration::from_secs(5);
    const QUIET: Duration = Duration::from_millis(200);
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).upstream(&exporter).telemetry().start();
    let down = Refusing::new();
    let without_exporter = GuardBuilder::new()
        .config(open(limits("response_timeout: 1s, connect_timeout: 1s")))
        .upstream(format!("http://{}", down.address()))
        .start();

    let mut http1 = TlsClient::new().connect(guard.port());
    for _ in 0..20 {
        assert_eq!(http1.get_as(SCRAPER, "/metrics").status, 200);
        assert_eq!(http1.get("/metrics").status, 401);
    }
    let mut http2 = Http2::connect(guard.port());
    for _ in 0..20 {
        assert!(http2.get_as(SCRAPER, "/metrics").ok);
    }
    assert_eq!(guard.telemetry().get("/metrics").status, 200);
    assert_eq!(without_exporter.connect().get("/metrics").status, 502);

    // The connections stay open: idle is not closed.
    let ids = [guard.id(), without_exporter.id()];
    let (mut seen, mut since) = (ids.map(context_switches), Instant::now());
    eventually("what was asked is over", || {
        let now = ids.map(context_switches);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        since.elapsed() >= QUIET
    });
    let before = ids.map(context_switches);
    // Nothing is waited for: the figure is one for this time.
    thread::sleep(LOOK);
    let after = ids.map(context_switches);
    for (id, (before, after)) in ids.iter().zip(before.iter().zip(after)) {
        let per_second = (after - before) as f64 / LOOK.as_secs_f64();
        assert!(per_second < 2.0, "{per_second} wake-ups a second: {:?}", thread_names(*id));
        let names = thread_names(*id);
        assert!(!names.iter().any(|name| name == "Timer thread"), "{names:?}");
    }
    drop((http1, http2));
}
