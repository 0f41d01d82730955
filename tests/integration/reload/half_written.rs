//! A prefix of a web configuration is often a valid file with no users. (A node_exporter 1.5 whose
//! file was truncated and rewritten in place 821 times served 569 requests without credentials.)

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use super::with_password;
use crate::support::guard::RELOAD;
use crate::support::*;

/// Of a writer in the middle of the file: long enough for a watcher that does not wait to fall for
/// it. What sleeps here is the writer.
const PAUSE: Duration = Duration::from_millis(400);

/// A prefix that is a valid configuration without users, and the rest.
fn prefix_and_rest(password: &str) -> (String, String) {
    (
        yaml(
            "
            http_server_config:
              http2: true
            ",
        )
        .to_owned(),
        with_password(password),
    )
}

#[test]
fn a_file_that_is_still_open_is_not_read() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    let (prefix, rest) = prefix_and_rest("2");
    let mut file = File::create(guard.path("web.yml")).unwrap();
    thread::sleep(PAUSE);
    assert_eq!(guard.connect().get("/metrics").status, 401, "truncated");
    file.write_all(prefix.as_bytes()).unwrap();
    file.sync_all().unwrap();
    thread::sleep(PAUSE);
    assert_eq!(guard.connect().get("/metrics").status, 401, "half-written");
    assert_eq!(guard.login("scraper", "1"), 200);
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    guard.wait_generation(2);
    assert_eq!(guard.connect().get("/metrics").status, 401);
    assert_eq!(guard.login("scraper", "2"), 200);
}

/// A reload is requested while the file is being written: half a file does not take effect, even
/// when it would be a valid configuration with users.
#[test]
fn a_request_to_reload_does_not_take_half_a_file() {
    let guard = GuardBuilder::new().config(with_password("1")).telemetry().start();
    guard.wait_first_look();
    let users = users(&[("half", &quick_hash("h")), ("whole", &quick_hash("w"))]);
    let (half, rest) = users.split_at(users.find("  \"whole\"").unwrap());
    let status = |user, password| guard.connect().get_as((user, password), "/metrics").status;
    let mut file = File::create(guard.path("web.yml")).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    file.sync_all().unwrap();
    guard.signal(libc::SIGHUP);
    let mut asking = guard.telemetry();
    asking.send(RELOAD);
    // The answer comes when the guard has given up waiting for the writer.
    while !asking.answers_within(Duration::from_millis(20)) {
        assert_eq!(status("half", "h"), 401, "half a file is in force");
        assert_eq!(status("scraper", "1"), 200);
    }
    assert_eq!(asking.response().status, 500);
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    eventually("the whole file", || status("whole", "w") == 200);
    assert_eq!(guard.metric("exporter_guard_config_generation"), 2.0, "one reload");
}

/// A copy over the network that hangs in the middle of the file: half of it asks for a password and
/// not yet for a client certificate.
#[test]
fn a_writer_that_hangs_changes_nothing() {
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let half = format!("{}{TLS}", scraper());
    let rest = VERIFIED_CLIENTS;
    let builder = GuardBuilder::new().config(format!("{half}{rest}")).tls(&tls);
    let guard = builder.file("clients.crt", ca.pem()).telemetry().start();
    guard.wait_first_look();
    let mut file = File::create(guard.path("web.yml")).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    file.sync_all().unwrap();
    let end = Instant::now() + Duration::from_secs(13);
    while Instant::now() < end {
        // Answered when the guard has given up waiting for the writer.
        assert_eq!(guard.reload().status, 500);
        let answer = TlsClient::new().try_get(guard.port(), "");
        assert!(answer.is_err(), "half a file is in force: {answer:?}");
    }
    file.write_all(rest.as_bytes()).unwrap();
}

/// The writer died, or the disk is full: the prefix is closed, and valid.
#[test]
fn a_prefix_that_is_closed_admits_no_client_without_a_password() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    let (prefix, rest) = prefix_and_rest("2");
    guard.write("web.yml", &prefix);
    guard.wait_failed_reload(1);
    assert_eq!(guard.connect().get("/metrics").status, 401);
    assert_eq!(guard.login("scraper", "1"), 200);
    let mut file = OpenOptions::new().append(true).open(guard.path("web.yml")).unwrap();
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);
}

/// Every prefix there is, closed: none lets anybody in without a password.
#[test]
fn no_prefix_admits_a_client_without_a_password() {
    let tls = ServerTls::new();
    let http1 = yaml(
        "
        http_server_config:
          http2: false
        ",
    );
    let users = users(&[("first", &quick_hash("1")), ("scraper", &quick_hash("2"))]);
    let config = http1 + TLS + &users;
    let guard = GuardBuilder::new().config(&config).tls(&tls).telemetry().start();
    for length in (0..config.len()).step_by(3) {
        guard.replace("web.yml", &config[..length]);
        guard.reload();
        let prefix = &config[..length];
        let answer = TlsClient::new().try_get(guard.port(), "");
        let status = answer.unwrap_or_else(|error| panic!("{error} at {prefix:?}")).status;
        assert_eq!(status, 401, "{prefix:?}");
        assert_eq!(guard.connect().get("/metrics").status, 400, "{prefix:?}");
    }
}

/// Rewritten in place over and over, while a client without credentials asks all the time.
#[test]
fn rewriting_in_place_never_admits_a_client_without_a_password() {
    const REWRITES: usize = 60;
    let guard = GuardBuilder::new().config(with_password("0")).start();
    let refused = AtomicUsize::new(0);
    let anonymous = |_number, stop: &load::Stop| {
        let mut client = guard.connect();
        while !stop.is_set() {
            assert_eq!(client.get("/metrics").status, 401);
            refused.fetch_add(1, Relaxed);
        }
    };
    load::beside(1, anonymous, || {
        for count in 0..REWRITES {
            let (prefix, rest) = prefix_and_rest(&count.to_string());
            let mut file = File::create(guard.path("web.yml")).unwrap();
            file.write_all(prefix.as_bytes()).unwrap();
            // The writer's pause.
            thread::sleep(Duration::from_millis((count % 8) as u64 * 10));
            file.write_all(rest.as_bytes()).unwrap();
        }
        eventually("the last rewrite", || {
            guard.login("scraper", (REWRITES - 1).to_string()) == 200
        });
    });
    assert!(refused.into_inner() > 100, "hardly anybody tried");
}

/// Key and certificate are two files: between two writes they do not match, and a mixture must
/// never be served.
#[test]
fn renewing_in_place_never_breaks_a_handshake() {
    const RENEWALS: usize = 15;
    let ca = Authority::new("server CA");
    let tls = ServerTls { identity: ca.issue(&Leaf::server()), ca };
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let client = TlsClient::new().trust(&tls.ca);
    let mut last = tls.identity.cert.clone();
    let scrape = |_number, stop: &load::Stop| {
        while !stop.is_set() {
            let answer = client.try_get(guard.port(), "");
            assert_eq!(answer.unwrap_or_else(|error| panic!("{error}")).status, 200);
        }
    };
    load::beside(1, scrape, || {
        for _ in 0..RENEWALS {
            let identity = tls.ca.issue(&Leaf::server());
            guard.write("server.key", identity.key_pem());
            // The writer's pause.
            thread::sleep(Duration::from_millis(30));
            guard.write("server.crt", identity.chain_pem());
            last = identity.cert;
        }
        eventually("the last certificate", || {
            let connected = client.connect(guard.port());
            connected.ssl().peer_certificate().unwrap().to_der().unwrap() == last.to_der().unwrap()
        });
    });
}

/// A client CA file that is cut off holds fewer CAs, or none, and must not mean "anybody".
#[test]
fn a_truncated_client_ca_file_admits_no_client() {
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let builder = GuardBuilder::new().config(format!("{TLS}{VERIFIED_CLIENTS}")).tls(&tls);
    let guard = builder.file("clients.crt", ca.pem()).start();
    let good = TlsClient::new().identity(&ca.issue(&Leaf::client()));
    for (count, content) in ["", &ca.pem()[..200]].iter().enumerate() {
        guard.write("clients.crt", content);
        guard.wait_failed_reload(count + 1);
        assert!(TlsClient::new().try_get(guard.port(), "").is_err());
        assert_eq!(good.try_get(guard.port(), "").unwrap().status, 200, "the old CA stays");
    }
    fs::remove_file(guard.path("clients.crt")).unwrap();
    guard.wait_failed_reload(3);
    assert_eq!(good.try_get(guard.port(), "").unwrap().status, 200);
}
