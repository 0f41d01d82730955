//! Password guessing clients: none is admitted, and logins with a right password are not delayed.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::support::guard::hash;
use crate::support::load::Stop;
use crate::support::*;

const KNOWN: (&str, &str) = ("scraper", "right");

/// What a flood got for an answer.
#[derive(Default)]
struct Answers {
    unauthorized: AtomicUsize,
    come_back_later: AtomicUsize,
    others: AtomicUsize,
}

/// Wrong passwords on fresh connections until told to stop, for a known and an unknown user.
fn guess(guard: &Guard, number: usize, stop: &Stop, answers: &Answers) {
    let mut round = 0;
    while !stop.is_set() {
        round += 1;
        let user = [KNOWN.0, "nobody"][round % 2];
        let response = guard.connect().get_as((user, &format!("{number} {round}")), "/metrics");
        let counter = match response.status {
            401 => &answers.unauthorized,
            429 if response.header("retry-after").is_some() => &answers.come_back_later,
            _ => &answers.others,
        };
        counter.fetch_add(1, Relaxed);
    }
}

/// How long the good user's scrapes take, each on a fresh connection.
fn scrape(guard: &Guard, count: usize) -> Vec<Duration> {
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(guard.connect().get_as(KNOWN, "/metrics").status, 200, "a scrape missed");
            let took = start.elapsed();
            // The pace of the scraper: what matters is the latency of one, not how many fit in.
            std::thread::sleep(Duration::from_millis(5));
            took
        })
        .collect();
    times.sort();
    times
}

struct Outcome {
    calm: Vec<Duration>,
    flooded: Vec<Duration>,
    grown_kib: u64,
}

fn flood(guard: &Guard, clients: usize, scrapes: usize) -> Outcome {
    let calm = scrape(guard, scrapes.min(2000));
    let before = procfs::anonymous_memory(guard.id());
    let answers = Answers::default();
    let flooded = load::beside(
        clients,
        |number, stop| guess(guard, number, stop, &answers),
        || scrape(guard, scrapes),
    );
    let grown_kib = procfs::anonymous_memory(guard.id()).saturating_sub(before);
    let [unauthorized, later, others] =
        [&answers.unauthorized, &answers.come_back_later, &answers.others].map(|n| n.load(Relaxed));
    println!("401: {unauthorized}, 429: {later}, grown by {grown_kib} KiB");
    assert_eq!(others, 0, "anything but 401 and 429 with Retry-After");
    assert!(unauthorized + later > 0);
    Outcome { calm, flooded, grown_kib }
}

fn guard(cost: u32) -> (Exporter, Guard) {
    let exporter = Exporter::new();
    let config = users(&[(KNOWN.0, &hash(KNOWN.1, cost))]);
    let guard = GuardBuilder::new().config(config).upstream(&exporter).telemetry().start();
    assert_eq!(guard.connect().get_as(KNOWN, "/metrics").status, 200);
    (exporter, guard)
}

#[test]
fn scrapes_are_answered_during_a_flood_of_wrong_passwords() {
    let (_exporter, guard) = guard(10);
    let outcome = flood(&guard, 16, 200);
    assert!(outcome.grown_kib < 50 * 1024, "grown by {} KiB", outcome.grown_kib);
}

/// 64 clients for a minute at cost 12.
#[test]
#[ignore = "takes more than a minute"]
fn a_long_flood_of_wrong_passwords_does_not_delay_scrapes() {
    let (_exporter, guard) = guard(12);
    let outcome = flood(&guard, 64, 8000);
    let p99 = |times: &[Duration]| times[times.len() * 99 / 100];
    let (calm, flooded) = (p99(&outcome.calm), p99(&outcome.flooded));
    let longest = outcome.flooded.last().unwrap();
    println!("p99 calm {calm:?}, flooded {flooded:?}, longest {longest:?}");
    assert!(outcome.grown_kib < 50 * 1024, "grown by {} KiB", outcome.grown_kib);
    assert!(*longest < Duration::from_secs(1), "{longest:?}");
    // Below some milliseconds it is the machine that is measured.
    let bound = (calm * 2).max(Duration::from_millis(5));
    assert!(flooded <= bound, "p99 {flooded:?}, calm {calm:?}");
}

/// A login that is not remembered yet, from an address that did not fail, is next in the queue.
#[test]
fn a_right_password_is_checked_before_waiting_wrong_ones() {
    let exporter = Exporter::new();
    let config = users(&[(KNOWN.0, &hash(KNOWN.1, 10))]);
    let guard = GuardBuilder::new().config(config).upstream(&exporter).start();
    let wrong = |host: u8, password: &str| {
        let mut client = Client::plain_from([127, 0, 1, host], guard.port());
        let credentials = basic(KNOWN.0, password);
        client.send(get("/metrics", &format!("Authorization: {credentials}\r\n")));
        client
    };
    // These addresses have failed, and then each has as much waiting as it may.
    let mut failed: Vec<Client> =
        (1..30).map(|host| wrong(host, &format!("first {host}"))).collect();
    assert!(failed.iter_mut().all(|client| client.response().status == 401));
    let mut waiting: Vec<Client> = (1..30)
        .flat_map(|host| (0..4).map(move |n| (host, n)))
        .map(|(host, n)| wrong(host, &format!("{host} {n}")))
        .collect();
    assert_eq!(guard.connect().get_as(KNOWN, "/metrics").status, 200);
    let answered = waiting.iter_mut().map(Client::has_answer).filter(|answered| *answered).count();
    assert!(answered < waiting.len() / 2, "{answered} of {} were first", waiting.len());
}

/// Different wrong passwords from one address; other addresses and remembered logins do not wait.
#[test]
fn a_client_that_guesses_passwords_has_to_wait() {
    let exporter = Exporter::new();
    let users = users(&[(KNOWN.0, &quick_hash(KNOWN.1)), ("other", &quick_hash("x"))]);
    let config = users + &limits("max_auth_failures: 3");
    let guard = GuardBuilder::new().config(config).upstream(&exporter).telemetry().start();
    assert_eq!(guard.connect().get_as(KNOWN, "/metrics").status, 200);
    let ask = |user, password: &str| guard.connect().get_as((user, password), "/metrics");
    for password in ["1", "2", "3"] {
        assert_eq!(ask("nobody", password).status, 401);
    }
    let refused = ask(KNOWN.0, "4");
    assert_eq!(refused.status, 429);
    assert!(refused.header("retry-after").is_some_and(|seconds| ["1", "2"].contains(&seconds)));
    // A right password that is not remembered was not checked, either.
    assert_eq!(ask("other", "x").status, 429);
    assert_eq!(ask(KNOWN.0, KNOWN.1).status, 200, "remembered");
    let mut elsewhere = Client::plain_from([127, 0, 0, 2], guard.port());
    assert_eq!(elsewhere.get_as(("other", "x"), "/metrics").status, 200);
    let reason = "exporter_guard_refused_requests_total{reason=\"too many wrong credentials\"}";
    assert!(guard.metric(reason) >= 2.0);
    eventually("the wait is over", || ask("nobody", "5").status == 401);
}

/// The password that a scraper has made the guard remember is no easier to guess than another, from
/// another address; nor is a token.
#[test]
fn remembered_credentials_cannot_be_guessed_without_waiting() {
    let token = "token-of-the-scraper";
    let digest = openssl::sha::sha256(token.as_bytes()).map(|byte| format!("{byte:02x}")).concat();
    let exporter = Exporter::new();
    let config = users(&[(KNOWN.0, &quick_hash(KNOWN.1))])
        + &proxy(&format!(
            "
            limits: {{max_auth_failures: 3}}
            tokens: {{ci: 'sha256:{digest}'}}
            routes:
            - path: /e
              upstreams: ['{exporter}']
              access: [{{any_user: true}}, {{tokens: [ci]}}]
            "
        ));
    let guard = GuardBuilder::new().config(config).start();
    let ask = |host: u8, credentials: &str| {
        let mut client = Client::plain_from([127, 0, 0, host], guard.port());
        client.send(get("/e/metrics", &format!("Authorization: {credentials}\r\n")));
        client.response().status
    };
    let right = [basic(KNOWN.0, KNOWN.1), format!("Bearer {token}")];
    for credentials in &right {
        assert_eq!(ask(1, credentials), 200);
    }
    for host in [1, 2] {
        for wrong in ["1", "2", "3"] {
            assert_eq!(ask(host, &basic(KNOWN.0, wrong)), 401);
        }
    }
    for credentials in &right {
        assert_eq!(ask(2, credentials), 429, "guessed from there");
        assert_eq!(ask(1, credentials), 200, "it was right from there before");
        assert_eq!(ask(3, credentials), 200, "no guess came from there");
    }
    eventually("the wait is over", || ask(2, &right[0]) == 200);
}

/// A scraper with yesterday's password tries it again and again; that is no guessing.
#[test]
fn the_same_wrong_password_does_not_count_twice() {
    let config = scraper() + &limits("max_auth_failures: 3");
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    for _ in 0..50 {
        assert_eq!(client.get_as((SCRAPER.0, "yesterday"), "/metrics").status, 401);
    }
    assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
}
