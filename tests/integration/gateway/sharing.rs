//! `coalesce` and `cache_for`: one collection for several who ask.

use std::sync::mpsc::Sender;
use std::thread;

use super::*;

const ASKING: usize = 8;

/// An exporter whose every answer waits for a word from the test.
fn held(answer: Vec<u8>) -> (Exporter, Sender<()>) {
    Exporter::held("", answer)
}

const SHARED: &str = "exporter_guard_shared_requests_total";

/// With metrics.
fn watched(routes: &str) -> Guard {
    GuardBuilder::new().config(with_routes(routes)).telemetry().start()
}

fn route(exporter: &Exporter, more: &str) -> String {
    format!("- {{path: /a, upstreams: ['{exporter}'], {more}}}\n")
}

fn get_with(guard: &Guard, user: (&str, &str), more: &str) -> Response {
    let authorization = format!("Authorization: {}\r\n{more}", basic(user.0, user.1));
    guard.connect().request(get("/a/metrics", &authorization))
}

#[test]
fn requests_in_flight_share_one() {
    let (exporter, release) = held(ok("Content-Type: text/plain\r\nX-Own: 1\r\n", PAGE));
    let guard = watched(&route(&exporter, "coalesce: true"));
    thread::scope(|scope| {
        let asking: Vec<_> =
            (0..ASKING).map(|_| scope.spawn(|| get_with(&guard, SCRAPER, ""))).collect();
        eventually("the exporter is asked", || exporter.requests().len() == 1);
        eventually("the others wait", || guard.metric(SHARED) == (ASKING - 1) as f64);
        release.send(()).unwrap();
        let answers: Vec<Response> = asking.into_iter().map(|one| one.join().unwrap()).collect();
        for answer in &answers {
            assert_eq!((answer.status, answer.text().as_str()), (200, PAGE));
            assert_eq!(answer.header("x-own"), Some("1"));
            assert_eq!(answer.header("content-type"), Some("text/plain"));
        }
        let aged = answers.iter().filter(|answer| answer.header("age").is_some()).count();
        assert_eq!(aged, ASKING - 1, "all but the one that was forwarded");
    });
    assert_eq!(exporter.requests().len(), 1);
    // Nothing is kept.
    release.send(()).unwrap();
    assert_eq!(get_with(&guard, SCRAPER, "").status, 200);
    assert_eq!(exporter.requests().len(), 2);
}

#[test]
fn an_answer_is_kept_for_its_time() {
    let exporter = Exporter::new();
    let guard = gateway(&route(&exporter, "cache_for: 10m"));
    assert_eq!(get_with(&guard, SCRAPER, "").header("age"), None);
    let again = get_with(&guard, SCRAPER, "");
    assert_eq!((again.header("age"), again.text().as_str()), (Some("0"), PAGE));
    assert_eq!(exporter.requests().len(), 1);
    // A new configuration begins anew.
    guard.replace("web.yml", with_routes(&route(&exporter, "cache_for: 50ms")));
    guard.wait_generation(2);
    assert_eq!(get_with(&guard, SCRAPER, "").header("age"), None);
    eventually("it is asked again", || {
        assert_eq!(get_with(&guard, SCRAPER, "").status, 200);
        exporter.requests().len() >= 3
    });
}

#[test]
fn requests_that_differ_do_not_share_an_answer() {
    let exporter = Exporter::new();
    let hash = quick_hash(SCRAPER.1);
    let config = |more: &str| {
        let routes = route(&exporter, &format!("cache_for: 10m{more}"));
        users(&[("scraper", &hash), ("alice", &hash)]) + &proxy_routes(&routes)
    };
    let guard = GuardBuilder::new().config(config("")).start();
    let alice = ("alice", SCRAPER.1);
    let asked = || exporter.requests().len();
    for (user, more, expected) in [
        (SCRAPER, "", 1),
        (SCRAPER, "", 1),
        (alice, "", 2),
        (alice, "", 2),
        (SCRAPER, "Accept: text/plain\r\n", 3),
        (SCRAPER, "Accept-Encoding: gzip\r\n", 4),
        (SCRAPER, "Accept-Encoding: gzip\r\n", 4),
        (SCRAPER, "Range: bytes=0-1\r\n", 5),
        (SCRAPER, "Range: bytes=0-1\r\n", 6),
        (SCRAPER, "If-None-Match: x\r\n", 7),
    ] {
        assert_eq!(get_with(&guard, user, more).status, 200);
        assert_eq!(asked(), expected, "{user:?} {more}");
    }
    assert_eq!(status(&guard, "/a/metrics?x"), 200);
    assert_eq!(asked(), 8);

    guard.replace("web.yml", config(", same_for_all: true"));
    guard.wait_generation(2);
    for user in [SCRAPER, alice] {
        assert_eq!(get_with(&guard, user, "").status, 200);
    }
    assert_eq!(asked(), 9);
    assert_eq!(guard.connect().get("/a/metrics").status, 401, "kept for those who may ask");
    assert_eq!(get_with(&guard, ("alice", "wrong"), "").status, 401);
}

/// What else a request says can neither change what others get nor be told to the exporter.
#[test]
fn other_fields_of_a_request_reach_no_shared_answer() {
    let exporter = Exporter::new();
    let guard = gateway(&route(&exporter, "cache_for: 10m"));
    let ask = |more: &str| {
        assert_eq!(get_with(&guard, SCRAPER, more).status, 200);
        exporter.requests().len()
    };
    assert_eq!(ask("X-Own: 1\r\nCookie: a=b\r\nUser-Agent: x\r\nAccept: a/b\r\n"), 1);
    let request = &exporter.requests()[0];
    assert!(["x-own", "cookie", "user-agent"].iter().all(|name| !request.has(name)));
    assert_eq!(request.values("accept"), ["a/b"]);
    assert_eq!(ask("X-Own: 2\r\nAccept: a/b\r\n"), 1);
    assert_eq!(ask("X-Prometheus-Scrape-Timeout-Seconds: 1\r\nAccept: a/b\r\n"), 2);
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    for expected in [3, 3] {
        let other = format!(
            "GET /a/metrics HTTP/1.1\r\nHost: evil.example\r\nAccept: a/b\r\nAuthorization: \
             {authorization}\r\n\r\n"
        );
        assert_eq!(guard.connect().request(other).status, 200);
        assert_eq!(exporter.requests().len(), expected);
    }
}

/// Whatever the exporter makes of it, it is not for others.
#[test]
fn a_request_with_a_body_is_not_shared() {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let config = with_routes(&route(&exporter, "cache_for: 10m, same_for_all: true"));
    let guard = GuardBuilder::new().config(format!("{TLS}{config}")).tls(&tls).start();
    let mut client = Http2::connect(guard.port());
    let authorization = basic(SCRAPER.0, SCRAPER.1);
    let more = [("authorization", authorization.as_str())];
    for expected in 1..3 {
        assert!(client.get_with_body("/a/metrics", &more, &[b"poison"]).ok);
        assert_eq!(exporter.requests().len(), expected);
    }
    for expected in [3, 3] {
        assert!(client.get("/a/metrics", &more).ok);
        assert_eq!(exporter.requests().len(), expected);
    }
}

#[test]
fn empty_answers_are_shared_too() {
    for answer in [
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (exporter, release) = held(answer.into());
        let guard = watched(&route(&exporter, "coalesce: true"));
        let answers: Vec<Response> = thread::scope(|scope| {
            let asking: Vec<_> =
                (0..ASKING).map(|_| scope.spawn(|| get_with(&guard, SCRAPER, ""))).collect();
            eventually("the others wait", || guard.metric(SHARED) == (ASKING - 1) as f64);
            release.send(()).unwrap();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(exporter.requests().len(), 1, "{answer}");
        for shared in answers.iter().filter(|answer| answer.header("age").is_some()) {
            let status = shared.status.to_string();
            assert!(answer.contains(&status), "{shared:?}");
            assert_eq!(shared.header("content-length").is_some(), shared.status == 500);
        }
    }
}

/// An answer comes as fast as the one who asked first reads it, which may be never.
#[test]
fn a_client_that_reads_slowly_does_not_delay_a_shared_answer() {
    let body = "x".repeat(15 * 1024 * 1024);
    let exporter = Exporter::answering(ok("", &body));
    let guard = gateway(&route(&exporter, "coalesce: true"));
    let mut slow = guard.connect();
    slow.send(get("/a/metrics", &authorization(SCRAPER)));
    eventually("the exporter is asked", || exporter.requests().len() == 1);
    for _ in 0..2 {
        let answer = get_with(&guard, SCRAPER, "");
        assert_eq!((answer.status, answer.body.len()), (200, body.len()));
    }
    drop(slow);
}

#[test]
fn failures_are_not_kept() {
    let exporter = Exporter::answering("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    let guard = gateway(&route(&exporter, "cache_for: 10m"));
    for _ in 0..3 {
        assert_eq!(get_with(&guard, SCRAPER, "").status, 500);
    }
    assert_eq!(exporter.requests().len(), 3);

    // An answer that breaks off is no answer.
    let broken = Exporter::scripted(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")?;
        Ok(Next::Close)
    });
    let guard = gateway(&route(&broken, "cache_for: 10m"));
    for _ in 0..2 {
        let mut client = guard.connect();
        client.send(get("/a/metrics", &authorization(SCRAPER)));
        assert!(client.try_response().is_err());
    }
    assert_eq!(broken.requests().len(), 2);
}

/// Clients that wait for an answer get it when the client that asked first has left.
#[test]
fn a_client_that_leaves_does_not_cancel_a_shared_answer() {
    let (exporter, release) = held(ok("", PAGE));
    let guard = watched(&route(&exporter, "coalesce: true"));
    let mut leaving = guard.connect();
    let authorization = authorization(SCRAPER);
    leaving.send(get("/a/metrics", &authorization));
    eventually("the exporter is asked", || exporter.requests().len() == 1);
    thread::scope(|scope| {
        let staying = scope.spawn(|| get_with(&guard, SCRAPER, ""));
        eventually("the other waits", || guard.metric(SHARED) == 1.0);
        drop(leaving);
        for _ in 0..2 {
            release.send(()).unwrap();
        }
        let answer = staying.join().unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, PAGE));
    });
}

/// 64 MiB for all routes and users together; beyond that requests are forwarded.
#[test]
fn the_memory_for_kept_answers_is_bounded() {
    let body = "x".repeat(15 * 1024 * 1024);
    let exporter = Exporter::answering(ok("", &body));
    let guard = gateway(&route(&exporter, "cache_for: 3s"));
    let ask = |number: usize| {
        let answer = guard.connect().get_as(SCRAPER, &format!("/a/metrics?{number}"));
        assert_eq!((answer.status, answer.body.len()), (200, body.len()));
        answer.header("age").is_some()
    };
    for number in 0..8 {
        assert!(!ask(number));
    }
    let memory = procfs::anonymous_memory(guard.id());
    assert!(memory < 100 * 1024, "{memory} KiB");
    // What has had its time makes room.
    eventually("one more is kept", || {
        ask(8);
        ask(8)
    });
}

#[test]
fn an_answer_that_is_too_large_to_keep_is_streamed() {
    let body = "x".repeat(17 * 1024 * 1024);
    let exporter = Exporter::answering(ok("", &body));
    let guard = gateway(&route(&exporter, "cache_for: 10m"));
    for expected in 1..3 {
        let answer = get_with(&guard, SCRAPER, "");
        assert_eq!((answer.status, answer.body.len()), (200, body.len()));
        assert_eq!(exporter.requests().len(), expected);
    }
}

/// What `Connection` names is not forwarded: the exporter answers such a request by its own defaults.
#[test]
fn a_request_that_keeps_its_accept_fields_to_itself_gets_an_answer_of_its_own() {
    let exporter = Exporter::scripted(|request, out| {
        let accepts = request.values("accept").join(",");
        out.write_all(&ok("Content-Type: text/plain\r\n", format!("accepts {accepts}\n")))?;
        Ok(Next::KeepAlive)
    });
    let guard = gateway(&route(&exporter, "cache_for: 10m, same_for_all: true"));
    let accept = "Accept: application/openmetrics-text\r\nAccept-Encoding: gzip\r\n";
    let poisoning = format!("Connection: accept, accept-encoding\r\n{accept}");
    assert_eq!(get_with(&guard, SCRAPER, &poisoning).text(), "accepts \n");
    let honest = get_with(&guard, SCRAPER, accept);
    assert_eq!(honest.text(), "accepts application/openmetrics-text\n");
}

#[test]
fn the_address_of_a_client_does_not_reach_the_exporter_with_a_shared_request() {
    let exporter = Exporter::new();
    let guard = gateway(&route(&exporter, "coalesce: true"));
    assert_eq!(get_with(&guard, SCRAPER, "").status, 200);
    assert!(!exporter.request().has("x-forwarded-for"));
}
