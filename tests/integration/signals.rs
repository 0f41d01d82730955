//! SIGTERM drains, SIGINT stops, SIGHUP does neither.

use std::any::Any;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use crate::support::*;

/// What "at once" may take for a debug build; stock pingora takes 300 s.
const AT_ONCE: Duration = Duration::from_secs(1);

/// A grace period that no test lasts: a guard that ends has not waited for its end.
const LONG_GRACE: &str = "--shutdown.grace-period=1h";

/// Sends a first part, and the rest when told to.
fn slow_exporter() -> (Exporter, Sender<()>) {
    Exporter::held("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst", "after")
}

fn begin(guard: &Guard) -> Client {
    let mut client = guard.connect();
    client.send(get("/metrics", ""));
    assert_eq!(client.head().status, 200);
    assert_eq!(client.take(5).unwrap(), b"first");
    client
}

fn wait_drain(guard: &Guard) {
    guard.wait_log("the drain", |line| line.contains("Stopping, finishing running requests"));
}

/// The exit code; waits for the end, which does not come for a guard that waits for its clients.
#[track_caller]
fn end_by(guard: &mut Guard, signal: libc::c_int) -> Option<i32> {
    guard.signal(signal);
    guard.process().wait_exit().code()
}

#[test]
fn an_idle_guard_exits_on_sigterm() {
    let builder = GuardBuilder::new().config(OPEN).telemetry();
    let mut guard = builder.arg(LONG_GRACE).start();
    assert_eq!(end_by(&mut guard, libc::SIGTERM), Some(0));
}

/// Which of these hold up the exit; each kind has a guard of its own.
fn exits_with(open: impl FnOnce(&Guard) -> Vec<Box<dyn Any>>) {
    let tls = ServerTls::new();
    let exporter = Exporter::new();
    let builder = GuardBuilder::new().guarded(&tls).telemetry();
    let mut guard = builder.upstream(&exporter).arg(LONG_GRACE).start();
    let connections = open(&guard);
    assert_eq!(end_by(&mut guard, libc::SIGTERM), Some(0));
    drop(connections);
}

#[test]
fn an_idle_connection_that_was_used_does_not_hold_up_the_exit() {
    exits_with(|guard| {
        let mut client = TlsClient::new().connect(guard.port());
        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200);
        vec![Box::new(client)]
    });
}

#[test]
fn a_connection_without_a_request_does_not_hold_up_the_exit() {
    exits_with(|guard| vec![Box::new(TlsClient::new().connect(guard.port()))]);
}

#[test]
fn a_connection_without_a_handshake_does_not_hold_up_the_exit() {
    exits_with(|guard| vec![Box::new(guard.connect())]);
}

/// Half of a ClientHello has come when the guard is told to stop; the rest comes when connections
/// that sent nothing have been closed.
#[test]
fn a_handshake_that_has_begun_is_finished_and_its_request_answered() {
    let tls = ServerTls::new();
    let mut guard = GuardBuilder::new().guarded(&tls).start();
    let between = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = between.local_addr().unwrap().port();
    let client = std::thread::spawn(move || {
        let mut client = TlsClient::new().connect(port);
        client.get_as(SCRAPER, "/metrics").status
    });
    let (mut near, _) = between.accept().unwrap();
    let mut silent = guard.connect();
    let mut far = guard.connect().socket();
    let mut hello = vec![0; 4096];
    let length = near.read(&mut hello).unwrap();
    far.write_all(&hello[..10]).unwrap();
    eventually("the guard has the first bytes", || procfs::has_read_all(&far));
    guard.process().signal(libc::SIGTERM);
    wait_drain(&guard);
    silent.wait_close();
    far.write_all(&hello[10..length]).unwrap();
    let (mut from_far, mut to_near) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    let back = std::thread::spawn(move || _ = std::io::copy(&mut from_far, &mut to_near));
    std::thread::spawn(move || _ = std::io::copy(&mut near, &mut far));
    assert_eq!(client.join().unwrap(), 200);
    back.join().unwrap();
    assert_eq!(guard.process().wait_exit().code(), Some(0));
}

#[test]
fn idle_http2_connections_do_not_hold_up_the_exit() {
    exits_with(|guard| {
        let mut http2 = Http2::connect(guard.port());
        assert!(!http2.get("/metrics", &[]).ok);
        vec![Box::new(http2)]
    });
}

#[test]
fn http2_connections_without_a_request_do_not_hold_up_the_exit() {
    exits_with(|guard| {
        let without_preface = TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port());
        vec![Box::new(without_preface), Box::new(Http2::connect(guard.port()))]
    });
}

#[test]
fn idle_telemetry_connections_do_not_hold_up_the_exit() {
    exits_with(|guard| {
        let mut telemetry = guard.telemetry();
        assert_eq!(telemetry.get("/-/healthy").status, 200);
        vec![Box::new(telemetry), Box::new(guard.telemetry())]
    });
}

/// Empty lines are no beginning of a request (RFC 9112 section 2.2).
#[test]
fn a_connection_that_sent_an_empty_line_does_not_hold_up_the_exit() {
    exits_with(|guard| {
        let mut client = TlsClient::new().connect(guard.port());
        client.send(format!("{}\r\n", get("/metrics", "")));
        assert_eq!(client.response().status, 401);
        vec![Box::new(client)]
    });
}

#[test]
fn sigterm_lets_running_requests_finish() {
    let (exporter, go) = slow_exporter();
    let builder = GuardBuilder::new().config(OPEN).upstream(&exporter);
    let mut guard = builder.arg(LONG_GRACE).start();
    let port = guard.port();
    let mut client = begin(&guard);
    guard.signal(libc::SIGTERM);
    eventually("no new connections", || wire::tcp(port).is_err());
    assert!(guard.process().exited().is_none(), "exited with a request running");
    go.send(()).unwrap();
    assert_eq!(client.take(5).unwrap(), b"after");
    assert_eq!(guard.process().wait_exit().code(), Some(0));
}

#[test]
fn sigterm_lets_http2_streams_finish() {
    let (exporter, go) = slow_exporter();
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter);
    let mut guard = builder.arg(LONG_GRACE).start();
    let port = guard.port();
    let mut client = Http2::connect(port);
    let stream = client.send_get("/metrics", &[]);
    eventually("the request at the exporter", || exporter.requests().len() == 1);
    guard.signal(libc::SIGTERM);
    eventually("no new connections", || wire::tcp(port).is_err());
    assert!(guard.process().exited().is_none(), "exited with a stream open");
    go.send(()).unwrap();
    let answer = client.answer(stream);
    assert!(answer.ok && answer.body == b"firstafter");
    assert_eq!(guard.process().wait_exit().code(), Some(0));
}

/// A stream has ended for the engine when its last bytes are in a buffer; the client may be slow to
/// take them.
#[test]
fn sigterm_lets_a_slow_http2_client_have_the_rest() {
    const PAGE_LEN: usize = 24 * 1024 * 1024;
    let exporter = Exporter::answering(ok("", vec![b'x'; PAGE_LEN]));
    let tls = ServerTls::new();
    let builder = GuardBuilder::new().config(TLS).tls(&tls).upstream(&exporter);
    let mut guard = builder.telemetry().start();
    let mut idle = Http2::connect(guard.port());
    let mut client = Http2::connect(guard.port());
    client.largest_window();
    let stream = client.send_get("/metrics", &[]);
    let answered = || {
        let page = guard.telemetry().get("/metrics").text();
        let is_counted = |line: &str| {
            line.starts_with("exporter_guard_http_requests_total") && line.contains("code=\"200\"")
        };
        page.lines().any(is_counted)
    };
    let mut taken = 0;
    let mut read = |client: &mut Http2| {
        let frame = client.read_frame().expect("the rest of the page");
        taken += if frame.stream == stream && frame.kind == http2::DATA {
            frame.payload.len()
        } else {
            0
        };
        taken
    };
    // A frame of 16 KB at a time, so that some are left when the engine's end of the stream is seen.
    while !answered() {
        read(&mut client);
    }
    guard.signal(libc::SIGTERM);
    wait_drain(&guard);
    // What an idle connection has after GOAWAY is over; nothing was taken meanwhile.
    idle.client().wait_close();
    while read(&mut client) < PAGE_LEN {}
    assert_eq!(guard.process().wait_exit().code(), Some(0));
}

#[test]
fn the_grace_period_ends_what_does_not_finish() {
    let (exporter, _go) = slow_exporter();
    let builder = GuardBuilder::new().config(OPEN).upstream(&exporter);
    let mut guard = builder.arg("--shutdown.grace-period=1s").start();
    let _client = begin(&guard);
    let start = Instant::now();
    end_by(&mut guard, libc::SIGTERM);
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(900), "{took:?}");
}

#[test]
fn a_second_signal_ends_the_wait_for_running_requests() {
    for second in [libc::SIGTERM, libc::SIGINT] {
        let (exporter, _go) = slow_exporter();
        let builder = GuardBuilder::new().config(OPEN).upstream(&exporter);
        let mut guard = builder.arg(LONG_GRACE).start();
        let port = guard.port();
        let _client = begin(&guard);
        guard.signal(libc::SIGTERM);
        eventually("no new connections", || wire::tcp(port).is_err());
        end_by(&mut guard, second);
    }
}

#[test]
fn sigint_does_not_wait_for_running_requests() {
    let (exporter, _go) = slow_exporter();
    let builder = GuardBuilder::new().config(OPEN).upstream(&exporter);
    let mut guard = builder.arg(LONG_GRACE).start();
    let _client = begin(&guard);
    end_by(&mut guard, libc::SIGINT);
}

#[test]
fn sighup_does_not_stop() {
    let guard = GuardBuilder::new().config(OPEN).start();
    let mut client = guard.connect();
    for _ in 0..3 {
        guard.signal(libc::SIGHUP);
        assert_eq!(client.get("/metrics").status, 200);
    }
}

#[test]
fn a_unix_socket_is_gone_after_the_exit() {
    let builder = GuardBuilder::new().config(OPEN);
    let socket = builder.path("guard.sock");
    let listen = format!("unix:{}", socket.display());
    let mut guard = builder.listen(listen).arg(LONG_GRACE).start();
    assert_eq!(Client::unix(&socket).unwrap().get("/metrics").status, 200);
    end_by(&mut guard, libc::SIGTERM);
    assert!(!socket.exists());
}

/// After a crash the old socket is still there.
#[test]
fn a_unix_socket_that_was_left_behind_is_replaced() {
    let builder = GuardBuilder::new().config(OPEN);
    let socket = builder.path("guard.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let _guard = builder.listen(format!("unix:{}", socket.display())).start();
    assert_eq!(Client::unix(&socket).unwrap().get("/metrics").status, 200);
}

#[test]
#[ignore = "a wall-clock bound"]
fn nothing_that_is_idle_delays_the_exit_by_a_second() {
    let tests: [(&str, fn()); 11] = [
        ("an idle guard", an_idle_guard_exits_on_sigterm),
        ("a used connection", an_idle_connection_that_was_used_does_not_hold_up_the_exit),
        ("no request", a_connection_without_a_request_does_not_hold_up_the_exit),
        ("no handshake", a_connection_without_a_handshake_does_not_hold_up_the_exit),
        ("idle HTTP/2", idle_http2_connections_do_not_hold_up_the_exit),
        ("HTTP/2 without a request", http2_connections_without_a_request_do_not_hold_up_the_exit),
        ("telemetry", idle_telemetry_connections_do_not_hold_up_the_exit),
        ("an empty line", a_connection_that_sent_an_empty_line_does_not_hold_up_the_exit),
        ("the last request", sigterm_lets_running_requests_finish),
        ("the last stream", sigterm_lets_http2_streams_finish),
        ("SIGINT", sigint_does_not_wait_for_running_requests),
    ];
    for (name, test) in tests {
        assert_within(AT_ONCE, name, test);
    }
    assert_within(
        2 * AT_ONCE,
        "second signals",
        a_second_signal_ends_the_wait_for_running_requests,
    );
    assert_within(AT_ONCE, "a unix socket", a_unix_socket_is_gone_after_the_exit);
    let grace = Duration::from_secs(6);
    assert_within(grace, "a grace period of 1 s", the_grace_period_ends_what_does_not_finish);
}
