//! One client with credentials against another: an exporter that answers a few requests at a time is
//! there for both.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::exporter::Request;
use crate::support::load::beside;
use crate::support::real::NodeExporter;
use crate::support::*;

const ALICE: (&str, &str) = ("alice", "in a hurry");

/// The connections that alice opens.
const CONNECTIONS: usize = 150;

/// The scrapes of the other user.
const SCRAPES: usize = 17;

/// As many as node_exporter answers at a time (`--web.max-requests`).
const SLOTS: usize = 40;

/// The query of a request that the exporter answers when the test says so.
const HELD: &str = "/metrics?held";

const IN_FLIGHT: &str = "exporter_guard_in_flight_requests";
const REFUSED: &str =
    "exporter_guard_refused_requests_total{reason=\"too many requests in flight\"}";

fn two_users() -> String {
    users(&[(SCRAPER.0, &quick_hash(SCRAPER.1)), (ALICE.0, &quick_hash(ALICE.1))])
}

/// An exporter with [`SLOTS`] for requests, of which further ones are refused.
struct Busy {
    exporter: Exporter,
    taken: Arc<AtomicUsize>,
    /// Answers what is held when it is dropped.
    held: Option<Sender<()>>,
}

impl Busy {
    fn new() -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let (held, release) = channel::<()>();
        let release = Mutex::new(release);
        let slots = Arc::clone(&taken);
        let script = move |request: &Request, out: &mut dyn Write| -> io::Result<Next> {
            let has_slot = slots.fetch_add(1, SeqCst) < SLOTS;
            if has_slot && request.target.ends_with("held") {
                // Fails when the test is done with it.
                let _ = release.lock().map(|release| release.recv());
            }
            slots.fetch_sub(1, SeqCst);
            match has_slot {
                true => out.write_all(&ok("", PAGE))?,
                false => {
                    out.write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")?
                }
            }
            Ok(Next::KeepAlive)
        };
        Self { exporter: Exporter::scripted(script), taken, held: Some(held) }
    }

    fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }

    fn guard(&self, config: impl AsRef<[u8]>) -> Guard {
        GuardBuilder::new().config(config).upstream(&self.exporter).telemetry().start()
    }
}

/// Opens this many connections, each with a request that the exporter holds.
fn hold(guard: &Guard, user: (&str, &str), connections: usize) -> Vec<Client> {
    let request = get(HELD, &authorization(user));
    let connect = |_| {
        let mut client = guard.connect();
        client.send(&request);
        client
    };
    (0..connections).map(connect).collect()
}

#[test]
fn a_client_with_many_connections_takes_no_scrape_of_another() {
    let mut busy = Busy::new();
    let guard = busy.guard(two_users());
    let _alice = hold(&guard, ALICE, CONNECTIONS);
    eventually("alice has what she gets", || busy.taken() >= 20);
    let statuses: Vec<u16> = thread::scope(|scope| {
        let scrape = || guard.connect().get_as(SCRAPER, "/metrics").status;
        let scrapes: Vec<_> = (0..SCRAPES).map(|_| scope.spawn(scrape)).collect();
        scrapes.into_iter().map(|scrape| scrape.join().unwrap()).collect()
    });
    assert_eq!(statuses, [200; SCRAPES]);
    assert_eq!(busy.taken(), 20, "two thirds of 30");
    busy.held = None;
    eventually("every slot is given back", || guard.metric(IN_FLIGHT) == 0.0);
}

/// The real exporter, while alice asks as fast as she gets answers.
#[test]
#[ignore = "a flood of 150 clients"]
fn a_client_with_many_connections_takes_no_scrape_of_node_exporter() {
    let exporter = NodeExporter::new();
    let guard = GuardBuilder::new().config(two_users()).upstream(exporter.url()).start();
    let ask = |_, stop: &load::Stop| {
        let mut client = guard.connect();
        while !stop.is_set() {
            if client.try_get_as(ALICE, "/metrics").is_err() {
                client = guard.connect();
            }
        }
    };
    let statuses = beside(CONNECTIONS, ask, || {
        let mut scraper = guard.connect();
        let scrape = |_| scraper.get_as(SCRAPER, "/metrics").status;
        (0..SCRAPES).map(scrape).collect::<Vec<u16>>()
    });
    assert_eq!(statuses, [200; SCRAPES]);
}

#[test]
fn a_request_that_has_waited_in_vain_gets_503_and_the_next_one_its_answer() {
    let mut busy = Busy::new();
    let headers = "http_server_config: {headers: {X-Frame-Options: deny}}\n";
    let guard = busy.guard(two_users() + headers + &limits("max_in_flight: 1"));
    let mut alice = hold(&guard, ALICE, 1);
    eventually("the exporter is busy", || busy.taken() == 1);
    let short = "X-Prometheus-Scrape-Timeout-Seconds: 0.2\r\n";
    let mut scraper = guard.connect();
    let refused = scraper.request(get("/metrics", &(authorization(SCRAPER) + short)));
    assert_eq!(refused.status, 503);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(refused.header("x-frame-options"), Some("deny"));
    assert_eq!(refused.text(), "Service Unavailable: too many requests in flight\n");
    let line = guard.wait_log("the refusal", |line| logfmt::field(line, "status") == "503");
    assert_eq!(logfmt::field(&line, "reason"), "too many requests in flight", "{line}");
    assert_eq!(guard.metric(REFUSED), 1.0);
    busy.held = None;
    assert_eq!(alice[0].response().status, 200);
    assert_eq!(scraper.get_as(SCRAPER, "/metrics").status, 200, "on the same connection");
    assert_eq!(busy.exporter.requests().len(), 2, "the refused one is not forwarded");
}

/// Over HTTP/2, too, where a client leaves by resetting its streams.
#[test]
fn a_client_that_leaves_gives_its_slots_back() {
    let tls = ServerTls::new();
    let busy = Busy::new();
    let config = [TLS, &two_users(), &limits("max_in_flight: 3")].concat();
    let guard =
        GuardBuilder::new().config(config).tls(&tls).upstream(&busy.exporter).telemetry().start();
    let mut alice = Http2::connect(guard.port());
    let authorization = basic(ALICE.0, ALICE.1);
    for _ in 0..5 {
        alice.send_get(HELD, &[("authorization", &authorization)]);
    }
    eventually("her share", || guard.metric(IN_FLIGHT) == 2.0);
    drop(alice);
    eventually("nothing in flight", || guard.metric(IN_FLIGHT) == 0.0);
    assert_eq!(guard.metric("exporter_guard_waiting_requests"), 0.0);
}

#[test]
fn a_route_has_its_own_limit() {
    let busy = Busy::new();
    let routes = yaml(&format!(
        "
        routes:
        - {{path: /one, upstreams: ['{0}'], max_in_flight: 1}}
        - {{path: /many, upstreams: ['{0}']}}
        ",
        busy.exporter
    ));
    let guard = busy.guard(two_users() + &proxy(&routes));
    let request = |path: &str, user| get(&format!("{path}/metrics?held"), &authorization(user));
    let ask = |path| {
        let mut client = guard.connect();
        client.send(request(path, ALICE));
        client
    };
    let _first = ask("/one");
    eventually("its only slot is taken", || busy.taken() == 1);
    let mut beyond = ask("/one");
    let _others = ["/many", "/many"].map(ask);
    eventually("the other route has two", || busy.taken() == 3);
    assert_eq!(beyond.response().status, 503);
    assert_eq!(busy.taken(), 3);
}

/// A request that waits for the answer to another one takes no slot.
#[test]
fn requests_that_share_an_answer_count_once() {
    let mut busy = Busy::new();
    let config = limits("max_in_flight: 1").replace("{limits:", "{coalesce: true, limits:");
    let guard = busy.guard(two_users() + &config);
    let mut clients = hold(&guard, ALICE, 1);
    eventually("the first has the slot", || busy.taken() == 1);
    clients.extend(hold(&guard, ALICE, 7));
    let shared = "exporter_guard_shared_requests_total";
    eventually("the others wait for one answer", || guard.metric(shared) == 7.0);
    assert_eq!(guard.metric(IN_FLIGHT), 1.0);
    busy.held = None;
    let statuses: Vec<u16> = clients.iter_mut().map(|client| client.response().status).collect();
    assert_eq!(statuses, [200; 8]);
    busy.exporter.request();
}

#[test]
fn a_changed_limit_applies_to_requests_that_wait() {
    let busy = Busy::new();
    let config = |max: usize| two_users() + &limits(&format!("max_in_flight: {max}"));
    let guard = busy.guard(config(2));
    let _alice = hold(&guard, ALICE, 2);
    eventually("both slots are taken", || busy.taken() == 2);
    guard.replace("web.yml", config(3));
    guard.wait_generation(2);
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200);
}
