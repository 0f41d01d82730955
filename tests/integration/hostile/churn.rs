//! Connections that come and go, reloads, an exporter that restarts: after a long time the guard is
//! as it was.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::support::*;

/// `CHURN_SECONDS` makes it longer: an hour is 3600.
const DEFAULT_SECONDS: u64 = 60;

/// What must not grow.
#[derive(Debug, Clone, Copy)]
struct State {
    descriptors: usize,
    threads: usize,
    memory_kib: u64,
}

impl State {
    fn of(guard: &Guard) -> Self {
        let count = |directory: &str| {
            fs::read_dir(format!("/proc/{}/{directory}", guard.id())).unwrap().count()
        };
        Self {
            descriptors: count("fd"),
            threads: count("task"),
            memory_kib: procfs::anonymous_memory(guard.id()),
        }
    }

    /// Once the connections of the churn are gone.
    fn at_rest(guard: &Guard) -> Self {
        // The connection that asks is open itself.
        eventually("nothing open", || guard.metric("exporter_guard_open_connections") < 2.0);
        Self::of(guard)
    }
}

struct Site {
    guard: Guard,
    tls: ServerTls,
}

impl Site {
    fn client(&self, http2: bool) -> Client {
        let client = TlsClient::new().trust(&self.tls.ca);
        let protocols = if http2 { tls::H2_AND_HTTP1 } else { &b"\x08http/1.1"[..] };
        client.alpn(protocols).connect(self.guard.port())
    }
}

/// Fresh connections, each with a few requests: HTTP/1.1, HTTP/2, wrong passwords, half of a
/// request, none at all.
fn churn(site: &Site, stop: &load::Stop, served: &AtomicUsize) {
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    let request = |password| {
        let credentials = basic(SCRAPER.0, password);
        get("/metrics", &format!("Authorization: {credentials}\r\n"))
    };
    // A 502 while the exporter restarts ends a connection.
    let ask = |client: &mut Client, request: &str| {
        client.send(request);
        client.try_response().is_ok()
    };
    let (right, wrong) = (request(SCRAPER.1), request("wrong"));
    let mut round = 0;
    while !stop.is_set() {
        round += 1;
        match round % 5 {
            0 => {
                let mut http2 = Http2::begin(site.client(true));
                for _ in 0..3 {
                    let stream = http2.send_get("/metrics", &[("authorization", &authorization)]);
                    if http2.try_answer(stream).is_err() {
                        break;
                    }
                }
            }
            1 => drop(site.client(false)),
            2 => site.client(false).send("GET /metrics HTTP/1.1\r\nHost: "),
            3 => _ = ask(&mut site.client(false), &wrong),
            _ => {
                let mut client = site.client(false);
                while ask(&mut client, &right) && round % 3 != 0 {
                    round += 1;
                }
            }
        }
        served.fetch_add(1, Relaxed);
    }
}

#[test]
#[ignore = "takes a minute, or CHURN_SECONDS"]
fn descriptors_threads_and_memory_do_not_grow() {
    let seconds = std::env::var("CHURN_SECONDS").ok().and_then(|text| text.parse().ok());
    let duration = Duration::from_secs(seconds.unwrap_or(DEFAULT_SECONDS));
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("exporter.sock");
    let start_exporter = || {
        // Left over from the one before.
        let _ = fs::remove_file(&socket);
        Exporter::on_unix(&socket, exporter::always(ok("", "x".repeat(20_000))))
    };
    let mut exporter = start_exporter();
    let users = scraper();
    let config = |round: usize| format!("{TLS}{users}# {round}\n");
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(config(0)).tls(&tls).upstream(&exporter);
    let site = Site { guard: builder.telemetry().start(), tls };
    let connections = AtomicUsize::new(0);
    let come_and_go = |_number, stop: &load::Stop| churn(&site, stop, &connections);
    let states = load::beside(4, come_and_go, || {
        let (begin, mut round, mut states) = (Instant::now(), 0, Vec::new());
        while begin.elapsed() < duration {
            round += 1;
            site.guard.replace("web.yml", config(round));
            site.guard.wait_generation(u32::try_from(round).unwrap() + 1);
            if round % 5 == 0 {
                drop(exporter);
                exporter = start_exporter();
            }
            states.push((begin.elapsed(), State::of(&site.guard)));
        }
        states
    });
    let rest = State::at_rest(&site.guard);
    // A quarter of the time is for warming up.
    let warm = &states[states.len() / 4..];
    let slope = slope_kib_per_hour(warm);
    let first = warm[0].1;
    println!(
        "{} connections, {} reloads; first {first:?}, at rest {rest:?}, {slope:.0} KiB an hour",
        connections.load(Relaxed),
        states.len()
    );
    assert!(rest.descriptors <= first.descriptors, "{first:?} {rest:?}");
    assert!(rest.threads <= first.threads, "{first:?} {rest:?}");
    // A slope means something once an hour is not extrapolated from minutes.
    if duration >= Duration::from_secs(1800) {
        assert!(slope < 1024.0, "{slope:.0} KiB an hour");
    }
}

/// By least squares.
fn slope_kib_per_hour(states: &[(Duration, State)]) -> f64 {
    let count = states.len() as f64;
    let points = || states.iter().map(|(at, s)| (at.as_secs_f64() / 3600.0, s.memory_kib as f64));
    let (sum_x, sum_y) = points().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let covariance: f64 = points().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}
