//! `--log.access`: one line for each request that has ended.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn is_access(line: &str) -> bool {
    logfmt::field(line, "source") == "exporter_guard::observe::access_log"
}

/// The lines of requests to this path.
fn lines_of(guard: &Guard, path: &str) -> Vec<String> {
    let is_wanted = |line: &String| is_access(line) && logfmt::field(line, "path") == path;
    guard.stderr().into_iter().filter(is_wanted).collect()
}

#[test]
fn a_line_says_who_asked_for_what_and_what_came_of_it() {
    let exporter = Exporter::answering(ok("", "12345"));
    let tls = ServerTls::new();
    let guard =
        GuardBuilder::new().guarded(&tls).upstream(&exporter).arg("--log.access=all").start();
    let trace = format!("traceparent: 00-{TRACE}-{SPAN}-01\r\n");
    let head = format!("{trace}{}", authorization(SCRAPER));
    let mut client = TlsClient::new().connect(guard.port());
    let answer = client.request(get("/metrics?password=hunter2", &head));
    assert_eq!(answer.status, 200);
    let line = guard.wait_log("the request", is_access);
    let field = |name: &str| logfmt::field(&line, name);
    for (name, value) in [
        ("msg", "Request"),
        ("level", "INFO"),
        ("listener", "127.0.0.1:0"),
        ("user", "scraper"),
        ("route", "default"),
        ("method", "GET"),
        ("path", "/metrics"),
        ("status", "200"),
        ("bytes", "5"),
        ("tls", "TLSv1.3"),
        ("trace_id", TRACE),
        ("span_id", SPAN),
    ] {
        assert_eq!(field(name), value, "{name} in {line}");
    }
    assert!(field("client").starts_with("127.0.0.1:"), "{line}");
    let seconds = |name: &str| field(name).parse::<f64>().expect(name);
    let (whole, upstream) = (seconds("duration_seconds"), seconds("upstream_seconds"));
    assert!(0.0 < upstream && upstream <= whole, "{line}");
    assert!(!guard.stderr().iter().any(|line| line.contains("hunter2")), "the query is secret");
}

#[test]
fn only_failures_have_a_line_unless_all_requests_are_to_have_one() {
    let exporter = Exporter::new();
    for (flag, succeeds, fails) in
        [(None, 0, 1), (Some("off"), 0, 0), (Some("failures"), 0, 1), (Some("all"), 1, 1)]
    {
        let builder = GuardBuilder::new().config(scraper()).upstream(&exporter);
        let builder = match flag {
            Some(flag) => builder.arg(format!("--log.access={flag}")),
            None => builder,
        };
        let mut guard = builder.start();
        let mut client = guard.connect();
        assert_eq!(client.get_as(SCRAPER, "/succeeds").status, 200);
        assert_eq!(client.get("/fails").status, 401);
        // The end of the guard is the end of its log.
        guard.signal(libc::SIGTERM);
        guard.process().wait_exit();
        let counts = (lines_of(&guard, "/succeeds").len(), lines_of(&guard, "/fails").len());
        assert_eq!(counts, (succeeds, fails), "{flag:?}");
    }
}

/// The variable, and JSON: numbers are numbers.
#[test]
fn the_line_is_json_like_the_others() {
    let guard = GuardBuilder::new()
        .config(OPEN)
        .env("EXPORTER_GUARD_LOG_ACCESS", "all")
        .arg("--log.format=json")
        .spawn();
    let line = guard.wait_log("listening", |line| line.contains("Listening on"));
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let port = wire::port(line["address"].as_str().expect("an address"));
    assert_eq!(Client::plain(port).get("/metrics").status, 200);
    let line = guard.wait_log("the request", |line| line.contains("\"msg\":\"Request\""));
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((line["status"].as_u64(), line["path"].as_str()), (Some(200), Some("/metrics")));
    assert!(line["duration_seconds"].is_f64() && line["bytes"].is_u64(), "{line}");
    assert!(line.get("user").is_none() && line.get("tls").is_none(), "{line}");
}

/// A flood of failures is a line a second, which says how many it stands for.
#[test]
fn failures_are_limited_and_requests_are_not() {
    const REQUESTS: usize = 300;
    for (flag, at_least) in [("failures", 20), ("all", REQUESTS)] {
        let mut guard =
            GuardBuilder::new().config(scraper()).arg(format!("--log.access={flag}")).start();
        let began = Instant::now();
        let mut client = guard.connect();
        for _ in 0..REQUESTS {
            assert_eq!(client.get("/fails").status, 401);
        }
        guard.signal(libc::SIGTERM);
        guard.process().wait_exit();
        let lines = lines_of(&guard, "/fails").len();
        let seconds = usize::try_from(began.elapsed().as_secs()).expect("some seconds");
        let at_most = if flag == "all" { REQUESTS } else { 20 + seconds };
        assert!((at_least..=at_most).contains(&lines), "{flag}: {lines}");
    }
}

/// What a client sends cannot look like another field or line, and cannot fill the log by its
/// length.
#[test]
fn what_a_client_sends_stays_in_its_field() {
    let guard = GuardBuilder::new().config(OPEN).arg("--log.access=all").start();
    let mut client = guard.connect();
    let path = format!("/a=\"b\"{}", "x".repeat(5000));
    let more = "traceparent: 00-a user=admin-b-01\r\n";
    client.request(get(&path, more));
    client.send("GET /\u{1b}[31m HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes());
    let _ = client.head_or_close();
    let line = guard.wait_log("the request", |line| is_access(line) && line.contains("/a="));
    assert!(line.len() < 700, "{} bytes", line.len());
    let shown = logfmt::field(&line, "path");
    assert!(shown.starts_with("/a=\"b\"xxx") && shown.ends_with("x…"), "{line}");
    assert!(!line.contains("user=") && !line.contains("trace_id="), "{line}");
    assert!(guard.stderr().iter().all(|line| !line.contains('\u{1b}')), "no control characters");
}

/// The time that all threads of a process have spent on a processor.
fn cpu_time(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let nanoseconds = tasks.filter_map(|task| {
        let text = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanoseconds.sum())
}

/// A log of every request may take less than a twentieth of the throughput: of a guard whose
/// processors are busy, that is the processor time that a request takes. The bound is that of a
/// release build, which `EXPORTER_GUARD_BIN` names.
#[test]
#[ignore = "against the clock: `make stress` runs it"]
fn a_line_for_every_request_costs_less_than_a_twentieth() {
    const PAIRS: usize = 5;
    const ROUNDS: usize = 8;
    const PER_ROUND: usize = 1_000;
    const CLIENTS: usize = 4;
    let exporter = Exporter::answering(ok("", vec![b'x'; 57_000]));
    let tls = ServerTls::new();
    let start = |flag: &str| {
        let guard = GuardBuilder::new().guarded(&tls).upstream(&exporter);
        guard.arg(format!("--log.access={flag}")).start()
    };
    let round = |guard: &Guard| -> f64 {
        let port = guard.port();
        let before = cpu_time(guard.id());
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(move || {
                    let mut client = TlsClient::new().connect(port);
                    for _ in 0..PER_ROUND / CLIENTS {
                        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
                    }
                });
            }
        });
        (cpu_time(guard.id()) - before).as_secs_f64()
    };
    // Alternating, so that what else happens on this machine happens to both; the least of each is
    // the one that was disturbed least. Several guards, since where its memory lies makes one of them
    // slower than another for its whole life.
    let (mut without, mut with) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..PAIRS {
        let guards = [start("off"), start("all")];
        for _ in 0..ROUNDS {
            without = without.min(round(&guards[0]));
            with = with.min(round(&guards[1]));
        }
    }
    let micros = |seconds: f64| seconds * 1e6 / PER_ROUND as f64;
    println!(
        "a request without the log: {:.1} µs, with it: {:.1} µs",
        micros(without),
        micros(with)
    );
    // Formatting takes a larger share of a request in a build that is not optimized.
    let is_optimized = !cfg!(debug_assertions) || std::env::var_os("EXPORTER_GUARD_BIN").is_some();
    let most = if is_optimized { 1.05 } else { 1.15 };
    assert!(with < without * most, "{:.3}", with / without);
}

/// Over HTTP/2 the body of a refusal is sent apart from the request, and counted as over HTTP/1.
#[test]
fn the_body_of_a_refusal_counts_over_either_version() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).start();
    let answer = TlsClient::new().alpn(tls::HTTP1).connect(guard.port()).get("/first");
    assert_eq!(answer.status, 401);
    assert!(!Http2::connect(guard.port()).get("/second", &[]).ok);
    for path in ["/first", "/second"] {
        let is_wanted = |line: &str| is_access(line) && logfmt::field(line, "path") == path;
        let line = guard.wait_log("the refusal", is_wanted);
        assert_eq!(logfmt::field(&line, "bytes"), "13", "{line}");
    }
}
