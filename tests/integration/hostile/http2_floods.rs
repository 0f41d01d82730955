//! Floods of HTTP/2 frames that cost the sender little: a client that behaves is answered all the
//! time, memory stays where it was, nothing breaks, and what no client could mean is cut off.
//!
//! Attackers and guard share the machine, so that attackers keep a pace: more would measure who
//! gets the processor. The time an answer takes is only looked at by `make stress`.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::frames::*;
use crate::support::http2::*;
use crate::support::load::Stop;
use crate::support::wire::is_timeout;
use crate::support::*;

/// Half of them with credentials, and of each half one that never reads.
const ATTACKERS: usize = 4;

/// The pace of the attack: between two batches of an attacker's, and between two questions of the
/// good client's. What sleeps for it waits for nothing.
const PACE: Duration = Duration::from_millis(10);

/// Before an attacker connects again: the handshakes are not what is tested.
const RECONNECT: Duration = Duration::from_millis(100);

/// A connection that takes nothing for this long is stuck: its attacker keeps it and makes another.
const STUCK: Duration = Duration::from_millis(200);
const MOST_STUCK: usize = 16;

/// By how much the guard may grow, in KiB.
const MAX_GROWTH: u64 = 64 * 1024;

/// One way to annoy: the next batch of frames of a connection.
#[derive(Clone, Copy)]
struct Flood {
    name: &'static str,
    /// Whether the guard has to have enough of it at some time, and closes.
    cut_off: bool,
    batch: fn(&mut Attack) -> Vec<Vec<u8>>,
}

/// A connection of an attacker's.
struct Attack {
    /// The header block of a request without its end.
    request: Vec<u8>,
    batches: u32,
    next_stream: u32,
}

impl Attack {
    fn new(authorized: bool) -> Self {
        let mut request = block([
            (":method", "POST"),
            (":scheme", "https"),
            (":path", "/metrics"),
            (":authority", "localhost"),
        ]);
        if authorized {
            request.extend(literal("authorization", &basic(SCRAPER.0, SCRAPER.1)));
        }
        Self { request, batches: 0, next_stream: 1 }
    }

    fn stream(&mut self) -> u32 {
        self.next_stream += 2;
        self.next_stream - 2
    }

    fn frames(&mut self, flood: &Flood) -> Vec<Vec<u8>> {
        let frames = (flood.batch)(self);
        self.batches += 1;
        frames
    }

    fn begins(&self) -> bool {
        self.batches == 0
    }
}

/// CVE-2023-44487.
const RAPID_RESET: Flood =
    Flood { name: "rapid reset", cut_off: true, batch: |attack| cancelled_requests(attack, 100) };

/// The same, no faster than streams are taken up, which nothing can tell from a busy client that
/// changes its mind: each is a request like any other.
const STEADY_RESET: Flood =
    Flood { name: "steady reset", cut_off: false, batch: |attack| cancelled_requests(attack, 3) };

fn cancelled_requests(attack: &mut Attack, count: usize) -> Vec<Vec<u8>> {
    let request = |_| {
        let stream = attack.stream();
        [headers(stream, END, &attack.request), rst_stream(stream, code::CANCEL)]
    };
    (0..count).flat_map(request).collect()
}

/// Frames of one stream, which is begun with the first batch.
fn after_headers(attack: &Attack, flags: u8, mut frames: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    if attack.begins() {
        frames.insert(0, headers(1, flags, &attack.request));
    }
    frames
}

/// CVE-2024-27316: a header block that never ends.
const CONTINUATIONS: Flood = Flood {
    name: "CONTINUATION",
    cut_off: true,
    batch: |attack| {
        let field = literal("x-flood", &"x".repeat(1000));
        after_headers(attack, NONE, vec![continuation(1, NONE, &field); 20])
    },
};

/// As above, and never long enough for a limit of size.
const EMPTY_CONTINUATIONS: Flood = Flood {
    name: "empty CONTINUATION",
    cut_off: true,
    batch: |attack| after_headers(attack, NONE, vec![continuation(1, NONE, b""); 20]),
};

/// CVE-2019-9518.
const EMPTY_DATA: Flood = Flood {
    name: "empty DATA",
    cut_off: true,
    batch: |attack| after_headers(attack, END_HEADERS, vec![data(1, NONE, b""); 20]),
};

/// CVE-2016-6581: one long field in the dynamic table, and a byte for each time it is meant.
const HEADER_BOMB: Flood = Flood {
    name: "header list bomb",
    cut_off: true,
    batch: |attack| {
        let long = [&[0x40], &*string("x-bomb"), &*string(&"x".repeat(4000))].concat();
        let block = [&*attack.request, &long, &[INDEX_OF_NEWEST; 12_000]].concat();
        vec![headers(attack.stream(), END, &block)]
    },
};

/// The same, with as much as is allowed in as many streams as are allowed, held by not taking the
/// answers.
const HELD_STREAMS: Flood = Flood {
    name: "streams held open",
    cut_off: false,
    batch: |attack| {
        let long = [&[0x40], &*string("x-bomb"), &*string(&"x".repeat(4000))].concat();
        let block = [&*attack.request, &long, &[INDEX_OF_NEWEST; 6]].concat();
        let mut frames = vec![headers(attack.stream(), END, &block)];
        if attack.begins() {
            frames.insert(0, settings(&[(setting::INITIAL_WINDOW_SIZE, 0)]));
        }
        frames
    },
};

/// In the dynamic table (RFC 7541 section 2.3.3), as an indexed field.
const INDEX_OF_NEWEST: u8 = 0x80 | 62;

/// CVE-2019-9515.
const SETTINGS_FLOOD: Flood = Flood {
    name: "SETTINGS",
    cut_off: false,
    batch: |attack| {
        let window = attack.batches % 2;
        vec![settings(&[(setting::INITIAL_WINDOW_SIZE, window)]); 50]
    },
};

/// CVE-2019-9512.
const PINGS: Flood =
    Flood { name: "PING", cut_off: false, batch: |_| vec![ping(NONE, *b"and you?"); 50] };

/// What the attackers did and met.
#[derive(Default)]
struct Tally {
    frames: AtomicU64,
    closed: AtomicU64,
    stuck: AtomicU64,
}

fn h2(port: u16) -> Client {
    TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(port)
}

/// Flood on one connection after the other.
fn attack(flood: &Flood, port: u16, number: usize, stop: &Stop, tally: &Tally) {
    let (authorized, reads) = (number & 1 == 0, number & 2 == 0);
    let mut stuck = Vec::new();
    while !stop.is_set() {
        let mut client = h2(port);
        client.set_write_timeout(STUCK);
        client.send([PREFACE, &settings(&[])].concat());
        match flood_on(&mut client, flood, Attack::new(authorized), reads, stop, tally) {
            End::Stopped => return,
            End::Closed => {
                tally.closed.fetch_add(1, Relaxed);
            }
            End::Stuck => {
                tally.stuck.fetch_add(1, Relaxed);
                stuck.push(client);
                stuck.truncate(MOST_STUCK);
            }
        }
        // The pace of the attack.
        thread::sleep(RECONNECT);
    }
}

/// What ends a flood on a connection.
enum End {
    Stopped,
    Closed,
    Stuck,
}

fn flood_on(
    client: &mut Client,
    flood: &Flood,
    mut attack: Attack,
    reads: bool,
    stop: &Stop,
    tally: &Tally,
) -> End {
    while !stop.is_set() {
        let frames = attack.frames(flood);
        match client.try_send(&frames.concat()) {
            Ok(()) => tally.frames.fetch_add(frames.len() as u64, Relaxed),
            Err(error) if is_timeout(&error) => return End::Stuck,
            Err(_) => return End::Closed,
        };
        if !reads {
            // The pace of the attack.
            thread::sleep(PACE);
        } else if client.closes_within(PACE) {
            return End::Closed;
        }
    }
    End::Stopped
}

/// The client that behaves: it asks at its pace, and every answer has to be right.
struct Good {
    kept: Http2,
    port: u16,
    authorization: String,
}

impl Good {
    fn new(guard: &Guard) -> Self {
        let port = guard.port();
        let authorization = basic(SCRAPER.0, SCRAPER.1);
        Self { kept: Http2::begin(h2(port)), port, authorization }
    }

    /// How long the answer took.
    fn ask(&mut self) -> Duration {
        let begun = Instant::now();
        ask(&mut self.kept, &self.authorization);
        begun.elapsed()
    }

    fn ask_on_a_new_connection(&self) {
        ask(&mut Http2::begin(h2(self.port)), &self.authorization);
    }
}

fn ask(client: &mut Http2, authorization: &str) {
    let answer = client.get("/metrics", &[("authorization", authorization)]);
    assert!(answer.ok && answer.body == PAGE.as_bytes(), "{answer:?}");
}

/// What the good client and the kernel say about a while.
struct Phase {
    /// How long each answer took, from the shortest.
    took: Vec<Duration>,
    /// The most that was seen, in KiB.
    memory: u64,
}

impl Phase {
    /// Ask for this long.
    fn watch(guard: &Guard, good: &mut Good, length: Duration) -> Self {
        let end = Instant::now() + length;
        let mut phase = Self { took: Vec::new(), memory: 0 };
        while Instant::now() < end {
            phase.took.push(good.ask());
            if phase.took.len() % 50 == 1 {
                good.ask_on_a_new_connection();
                phase.memory = phase.memory.max(procfs::anonymous_memory(guard.id()));
            }
            // The pace of the good client.
            thread::sleep(PACE);
        }
        phase.took.sort();
        phase
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.took[(self.took.len() - 1) * percent / 100]
    }
}

struct Report {
    flood: Flood,
    calm: Phase,
    under_attack: Phase,
    tally: Tally,
    log_lines: usize,
}

impl Report {
    fn growth(&self) -> u64 {
        self.under_attack.memory.saturating_sub(self.calm.memory)
    }

    /// What the guard has to withstand however slow the machine is.
    fn withstood(&self) -> bool {
        let closed = self.tally.closed.load(Relaxed) > 0;
        self.growth() < MAX_GROWTH && (closed || !self.flood.cut_off)
    }

    fn p99_ratio(&self) -> f64 {
        self.under_attack.percentile(99).as_secs_f64() / self.calm.percentile(99).as_secs_f64()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (calm, attack) = (&self.calm, &self.under_attack);
        write!(
            f,
            "{}: {} frames, {} connections closed, {} stuck; memory {} KiB + {} KiB; \
             p50 {:.1?} -> {:.1?}, p99 {:.1?} -> {:.1?} ({:.2}x); {} answers, {} log lines",
            self.flood.name,
            self.tally.frames.load(Relaxed),
            self.tally.closed.load(Relaxed),
            self.tally.stuck.load(Relaxed),
            calm.memory,
            self.growth(),
            calm.percentile(50),
            attack.percentile(50),
            calm.percentile(99),
            attack.percentile(99),
            self.p99_ratio(),
            attack.took.len(),
            self.log_lines,
        )
    }
}

/// Flood a guard of its own.
fn run(flood: &Flood, calm: Duration, length: Duration) -> Report {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let mut guard = GuardBuilder::new().guarded(&tls).upstream(&exporter).start();
    let port = guard.port();
    let mut good = Good::new(&guard);
    let calm = Phase::watch(&guard, &mut good, calm);
    let tally = Tally::default();
    let under_attack = load::beside(
        ATTACKERS,
        |number, stop| attack(flood, port, number, stop, &tally),
        || Phase::watch(&guard, &mut good, length),
    );
    assert!(guard.process().exited().is_none(), "the guard has gone");
    let log_lines = guard.stderr().len();
    Report { flood: *flood, calm, under_attack, tally, log_lines }
}

/// Two seconds: nothing breaks.
fn brief(flood: &Flood) {
    let report = run(flood, Duration::from_millis(200), Duration::from_secs(2));
    println!("{report}");
    assert!(report.withstood(), "{report}");
}

#[test]
fn rapid_resets_are_cut_off() {
    brief(&RAPID_RESET);
}

#[test]
fn steady_resets_do_not_grow_memory() {
    brief(&STEADY_RESET);
}

#[test]
fn header_blocks_without_end_are_cut_off() {
    brief(&CONTINUATIONS);
}

#[test]
fn header_blocks_without_end_or_content_are_cut_off() {
    brief(&EMPTY_CONTINUATIONS);
}

#[test]
fn a_flood_of_empty_data_is_cut_off() {
    brief(&EMPTY_DATA);
}

#[test]
fn header_lists_that_expand_are_cut_off() {
    brief(&HEADER_BOMB);
}

#[test]
fn streams_that_are_held_open_do_not_grow_memory() {
    brief(&HELD_STREAMS);
}

#[test]
fn a_flood_of_settings_does_not_grow_memory() {
    brief(&SETTINGS_FLOOD);
}

#[test]
fn a_flood_of_pings_does_not_grow_memory() {
    brief(&PINGS);
}

/// The machine has to have nothing else to do: the ratio is that of two noisy figures.
#[test]
#[ignore = "takes ten minutes"]
fn floods_of_a_minute_leave_memory_and_the_good_client_alone() {
    let floods = [
        RAPID_RESET,
        STEADY_RESET,
        CONTINUATIONS,
        EMPTY_CONTINUATIONS,
        EMPTY_DATA,
        HEADER_BOMB,
        HELD_STREAMS,
        SETTINGS_FLOOD,
        PINGS,
    ];
    let mut bad = Vec::new();
    for flood in &floods {
        let report = run(flood, Duration::from_secs(10), Duration::from_secs(60));
        println!("{report}");
        if !report.withstood() || report.p99_ratio() >= 2.0 {
            bad.push(report.to_string());
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
