//! Clients that ask and do not read: what the guard holds for them is bounded, and it is given back
//! to the system when they have gone.

use std::time::{Duration, Instant};

use crate::support::http2::*;
use crate::support::*;

/// By how much an attack may grow the guard, in KiB.
const MAX_GROWTH: u64 = 64 * 1024;

/// How much of that may be left when the attack is over, in KiB.
const MAX_LEFT: u64 = 16 * 1024;

/// How long the guard may take to give memory back.
const GIVEN_BACK: Duration = Duration::from_secs(10);

/// How long an attack is held, while memory is looked at.
const HELD: Duration = Duration::from_secs(5);

/// The streams that one connection may have open.
const STREAMS: usize = 100;

const ADDRESSES: u8 = 20;

/// A page of a megabyte, without its length.
fn big_page(bytes: usize) -> Vec<u8> {
    let page = "m{label=\"value\"} 1\n".repeat(bytes / 19);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len()).into_bytes()
}

/// An address of the loopback network.
fn address(number: u8) -> [u8; 4] {
    [127, 0, 1, number + 1]
}

/// A guard with TLS and [`SCRAPER`], `/public` for everybody, and pages of a megabyte.
fn guard_with(limits: &str, exporter: &Exporter, tls: &ServerTls) -> Guard {
    let keys = format!("public_paths: [/public]\n{limits}");
    let config = guarded() + &proxy(&keys);
    GuardBuilder::new().config(config).tls(tls).upstream(exporter).telemetry().start()
}

/// How much memory the guard has taken at most since `idle`, and how much was left at the end.
#[derive(Debug)]
struct Growth {
    peak: u64,
    left: u64,
}

/// Holds what `attack` returns, and then drops it.
fn measure<H>(guard: &Guard, attack: impl FnOnce() -> H) -> Growth {
    let memory = || procfs::anonymous_memory(guard.id());
    let idle = memory();
    let held = attack();
    let mut peak = 0;
    let end = Instant::now() + HELD;
    while Instant::now() < end {
        peak = peak.max(memory().saturating_sub(idle));
        // The interval of the measurement.
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(held);
    let mut left = memory().saturating_sub(idle);
    let end = Instant::now() + GIVEN_BACK;
    while left > MAX_LEFT && Instant::now() < end {
        // As above.
        std::thread::sleep(Duration::from_millis(100));
        left = memory().saturating_sub(idle);
    }
    println!("idle {idle} KiB, + {peak} KiB, left {left} KiB");
    Growth { peak, left }
}

#[track_caller]
fn assert_bounded(growth: &Growth) {
    assert!(growth.peak < MAX_GROWTH, "{growth:?}");
    assert!(growth.left <= MAX_LEFT, "{growth:?}");
}

/// A header block, and as many long fields as a request may have.
///
/// The long field is in the dynamic table (RFC 7541 section 2.3.3), so that six of them take six bytes.
fn request(path: &str, fields: &[(&str, &str)], is_long: bool) -> Vec<u8> {
    const INDEX_OF_NEWEST: u8 = 0x80 | 62;
    let pseudo =
        [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", path)];
    let mut request = block(pseudo.iter().chain(fields).copied());
    if is_long {
        request.extend([&[0x40], &*string("x-long"), &*string(&"x".repeat(4000))].concat());
        request.extend([INDEX_OF_NEWEST; 6]);
    }
    request
}

/// A connection with 100 requests whose answers it does not take.
fn hold_streams(from: [u8; 4], port: u16, request: &[u8]) -> Client {
    let client = TlsClient::new().alpn(tls::H2_AND_HTTP1).from(from).connect(port);
    let mut client = Http2::begin(client);
    client.no_window();
    let mut client = client.into_client();
    for stream in (1..).step_by(2).take(STREAMS) {
        // A guard that has had enough closes the connection.
        let headers = frame(HEADERS, END_STREAM | END_HEADERS, stream, request);
        if client.try_send(&headers).is_err() {
            break;
        }
    }
    client
}

/// Streams from 20 addresses, on so many connections from each.
fn hold_many_streams(port: u16, connections: usize, request: &[u8]) -> Vec<Client> {
    (0..ADDRESSES)
        .flat_map(|number| vec![address(number); connections])
        .map(|from| hold_streams(from, port, request))
        .collect()
}

/// Requests over HTTP/1.1 whose answers are not read, from 20 addresses.
fn hold_requests(port: u16, count: usize, request: &str) -> Vec<Client> {
    let hold = |number: usize| {
        let from = address(u8::try_from(number % usize::from(ADDRESSES)).unwrap());
        let mut client = TlsClient::new().alpn(tls::HTTP1).from(from).connect(port);
        client.send(request);
        client
    };
    (0..count).map(hold).collect()
}

fn authorized() -> String {
    basic(SCRAPER.0, SCRAPER.1)
}

/// An attack over HTTP/2 on a guard of its own, on so many connections from each of 20 addresses.
fn streams_attack(connections: usize, request: &[u8]) -> Growth {
    let (tls, exporter) = (ServerTls::new(), Exporter::answering(big_page(1_000_000)));
    let guard = guard_with("", &exporter, &tls);
    let port = guard.port();
    measure(&guard, || hold_many_streams(port, connections, request))
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn streams_of_strangers_from_many_addresses_are_bounded() {
    assert_bounded(&streams_attack(10, &request("/metrics", &[], false)));
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn streams_of_strangers_with_long_fields_are_bounded() {
    assert_bounded(&streams_attack(10, &request("/metrics", &[], true)));
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn streams_on_a_public_path_are_bounded() {
    assert_bounded(&streams_attack(1, &request("/public", &[], false)));
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn streams_on_a_public_path_with_long_fields_are_bounded() {
    assert_bounded(&streams_attack(1, &request("/public", &[], true)));
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn streams_of_one_client_are_bounded() {
    let (tls, exporter) = (ServerTls::new(), Exporter::answering(big_page(1_000_000)));
    let guard = guard_with("", &exporter, &tls);
    let port = guard.port();
    let request = request("/metrics", &[("authorization", &authorized())], false);
    let hold = |_| hold_streams([127, 0, 0, 1], port, &request);
    let growth = measure(&guard, || (0..5).map(hold).collect::<Vec<Client>>());
    assert_bounded(&growth);
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn streams_of_one_client_from_many_addresses_are_bounded() {
    assert_bounded(&streams_attack(
        1,
        &request("/metrics", &[("authorization", &authorized())], false),
    ));
}

#[test]
#[ignore = "takes a quarter of a minute, and memory without bound where it fails"]
fn http1_clients_that_do_not_read_are_bounded() {
    let (tls, exporter) = (ServerTls::new(), Exporter::answering(big_page(10_000_000)));
    let guard = guard_with("", &exporter, &tls);
    let port = guard.port();
    let request = get("/metrics", &authorization(SCRAPER));
    let growth = measure(&guard, || hold_requests(port, 500, &request));
    assert_bounded(&growth);
}

const REFUSED: &str =
    "exporter_guard_refused_requests_total{reason=\"too much memory for unsent answers\"}";

/// The least that can be configured: a mebibyte for each address.
const SMALL: &str = "limits: {max_buffered_bytes: 4194304}";

fn page_as(from: [u8; 4], port: u16) -> Response {
    let mut client = TlsClient::new().alpn(tls::HTTP1).from(from).connect(port);
    client.get_as(SCRAPER, "/metrics")
}

#[test]
fn a_client_that_takes_no_answers_is_refused_more_and_others_are_served() {
    let (tls, exporter) = (ServerTls::new(), Exporter::answering(big_page(1_000_000)));
    let guard = guard_with(SMALL, &exporter, &tls);
    let port = guard.port();
    let request = request("/metrics", &[("authorization", &authorized())], false);
    let (mut held, mut refused) = (Vec::new(), None);
    eventually("the share is used up", || {
        held.push(hold_streams(address(1), port, &request));
        refused = Some(page_as(address(1), port)).filter(|response| response.status == 503);
        refused.is_some()
    });
    assert_eq!(refused.expect("a refusal").header("retry-after"), Some("1"));
    assert!(guard.metric(REFUSED) >= 1.0);
    guard.wait_message("Request refused");
    for _ in 0..3 {
        assert_eq!(page_as(address(2), port).body.len(), 999_989, "of another address");
    }
    drop(held);
    eventually("the share is free again", || page_as(address(1), port).status == 200);
}

#[test]
fn greedy_addresses_make_room_for_others() {
    let (tls, exporter) = (ServerTls::new(), Exporter::answering(big_page(1_000_000)));
    let guard = guard_with(SMALL, &exporter, &tls);
    let port = guard.port();
    let public = request("/public", &[], false);
    let _held: Vec<Client> =
        (0..8).map(|number| hold_streams(address(number), port, &public)).collect();
    eventually("the budget is used up", || {
        guard.telemetry().get("/metrics").text().contains(REFUSED)
    });
    for _ in 0..10 {
        let page = page_as(address(30), port);
        assert_eq!((page.status, page.body.len()), (200, 999_989));
    }
}

#[test]
fn a_stranger_that_opens_its_window_late_gets_its_answer() {
    let (tls, exporter) = (ServerTls::new(), Exporter::new());
    let guard = guard_with("", &exporter, &tls);
    let mut client = Http2::connect(guard.port());
    client.no_window();
    let stream = client.send_get("/metrics", &[]);
    let headers = loop {
        let frame = client.read_frame().expect("a frame");
        if frame.kind == HEADERS {
            break frame;
        }
    };
    assert_eq!((headers.stream, headers.flags & END_STREAM), (stream, 0));
    client.client().send(frame(WINDOW_UPDATE, 0, stream, &5_u32.to_be_bytes()));
    client.client().send(frame(WINDOW_UPDATE, 0, stream, &100_u32.to_be_bytes()));
    let answer = client.answer(stream);
    assert_eq!(answer.body, b"Unauthorized\n");
}

/// A directory of the memory controller of the kernel (cgroups(7)), which ends with the test.
struct MemoryGroup(std::path::PathBuf);

impl MemoryGroup {
    fn new(bytes: u64) -> Self {
        let v1 = std::path::Path::new("/sys/fs/cgroup/memory");
        let (root, limit) = match v1.is_dir() {
            true => (v1, "memory.limit_in_bytes"),
            false => (std::path::Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let group = root.join(format!("exporter-guard-test-{}", std::process::id()));
        std::fs::create_dir(&group).expect("a group, as root");
        std::fs::write(group.join(limit), bytes.to_string()).expect("a limit");
        Self(group)
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // The group goes with its last process.
        eventually("the group is empty", || std::fs::remove_dir(&self.0).is_ok());
    }
}

/// The configuration and the memory limit of conf/kubernetes, without its certificates.
#[test]
#[ignore = "takes half a minute, and needs root for a limit of memory"]
fn the_guard_of_the_daemonset_survives_in_its_memory() {
    let text = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/kubernetes");
        std::fs::read_to_string(path.join(name)).expect("a manifest")
    };
    assert!(text("daemonset.yaml").contains("              memory: 128Mi\n"));
    let config = text("config.yaml");
    let limits = config.lines().map(str::trim).find(|line| line.starts_with("limits: {"));
    let limits = limits.expect("limits in the manifest");
    let group = MemoryGroup::new(128 * 1024 * 1024);
    let (tls, exporter) = (ServerTls::new(), Exporter::answering(big_page(1_000_000)));
    let config = guarded() + &proxy(&format!("public_paths: [/public]\n{limits}"));
    let enter = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.0.display());
    let mut guard = GuardBuilder::new()
        .config(config)
        .tls(&tls)
        .upstream(&exporter)
        .inside(&["sh", "-c", &enter, "sh"])
        .start();
    let port = guard.port();
    let requests = [
        request("/metrics", &[], true),
        request("/public", &[], true),
        request("/metrics", &[("authorization", &authorized())], true),
    ];
    for request in &requests {
        let _held = hold_many_streams(port, 2, request);
        let _http1 = hold_requests(port, 300, &get("/public", ""));
        std::thread::sleep(HELD);
        assert!(guard.process().exited().is_none(), "the guard was ended");
    }
    eventually("an answer after the attacks", || page_as([127, 0, 0, 1], port).status == 200);
    drop(guard);
}
