//! `--upgrade`: a new guard takes the sockets over from the one that runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::support::process::{Finished, Process};
use crate::support::*;

const UPGRADES: usize = 20;

/// Successive guards of one directory.
struct Guards {
    dir: tempfile::TempDir,
    exporter: Exporter,
    listen: String,
}

impl Guards {
    fn new(listen: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tls = ServerTls::new();
        let guards = Self { dir, exporter: Exporter::new(), listen: listen.to_owned() };
        guards.write("web.yml", guarded());
        guard::write_pair(guards.dir.path(), "server", &tls.identity);
        guards
    }

    fn on_any_port() -> Self {
        Self::new("127.0.0.1:0")
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        guard::write(&self.dir.path().join(name), content);
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("upgrade.sock")
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = guard::binary();
        command.args(["--web.config.file=web.yml", "--upgrade.socket=upgrade.sock"]);
        command.arg(format!("--web.listen-address={}", self.listen));
        command.arg("--telemetry.listen-address=127.0.0.1:0");
        command.arg(format!("--upstream={}", self.exporter)).args(more);
        command
    }

    fn start(&self, more: &[&str]) -> Process {
        let guard = Process::spawn(self.command(more), self.dir.path());
        guard.address("web");
        guard
    }

    /// A successor of the one that runs, which has ended.
    fn upgrade(&self, mut old: Process) -> Process {
        let new = self.start(&["--upgrade"]);
        assert_eq!(old.wait_exit().code(), Some(0), "{}", old.describe());
        new
    }

    fn fail(&self, more: &[&str]) -> Finished {
        Finished::run(&mut self.command(more), self.dir.path(), b"")
    }
}

/// The page that a scrape gets.
fn scrape(port: u16) -> String {
    TlsClient::new().connect(port).get_as(SCRAPER, "/metrics").text()
}

/// What clients met.
#[derive(Default)]
struct Seen {
    served: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Seen {
    fn count(&self, answer: Result<bool, String>) {
        match answer {
            Ok(true) => _ = self.served.fetch_add(1, Relaxed),
            other => self.failed.lock().unwrap().push(format!("{other:?}")),
        }
    }
}

fn fresh(port: u16, seen: &Seen) {
    let more = authorization(SCRAPER);
    let answer = TlsClient::new().try_get(port, &more);
    seen.count(answer.map(|answer| answer.status == 200).map_err(|error| format!("{error:?}")));
}

/// On a kept connection; one that ends without an answer was closed while idle, and the request is
/// sent again on a new one (RFC 9112 section 9.3.1), as every HTTP client does.
fn kept<C>(
    client: &mut Option<C>,
    connect: impl Fn() -> C,
    seen: &Seen,
    ask: impl Fn(&mut C) -> std::io::Result<bool>,
) {
    if let Some(mut reused) = client.take()
        && let Ok(good) = ask(&mut reused)
    {
        seen.count(Ok(good));
        *client = Some(reused);
        return;
    }
    let mut new = connect();
    seen.count(ask(&mut new).map_err(|error| error.to_string()));
    *client = Some(new);
}

#[test]
fn twenty_upgrades_under_load_fail_no_request() {
    let guards = Guards::on_any_port();
    let first = guards.start(&[]);
    let port = first.port_of("web");
    let seen = Seen::default();
    let http1 = |stop: &load::Stop| {
        let mut client = None;
        while !stop.is_set() {
            kept(
                &mut client,
                || TlsClient::new().connect(port),
                &seen,
                |client: &mut Client| {
                    client.try_get_as(SCRAPER, "/metrics").map(|answer| answer.status == 200)
                },
            );
        }
    };
    let credentials = basic(SCRAPER.0, SCRAPER.1);
    let http2 = |stop: &load::Stop| {
        let mut client = None;
        while !stop.is_set() {
            kept(
                &mut client,
                || Http2::connect(port),
                &seen,
                |client: &mut Http2| {
                    let more = [("authorization", &*credentials)];
                    let stream = client.try_send_get("/metrics", &more)?;
                    client.try_answer(stream).map(|answer| answer.ok)
                },
            );
        }
    };
    let client = |number, stop: &load::Stop| match number {
        0 => http1(stop),
        1 => http2(stop),
        _ => {
            while !stop.is_set() {
                fresh(port, &seen);
            }
        }
    };
    let last = load::beside(4, client, || {
        (0..UPGRADES).fold(first, |running, _| {
            let before = seen.served.load(Relaxed);
            eventually("requests are served", || seen.served.load(Relaxed) > before + 20);
            guards.upgrade(running)
        })
    });
    let failed = seen.failed.into_inner().unwrap();
    let served = seen.served.into_inner();
    println!("{served} requests served");
    assert!(failed.is_empty(), "{} of {served}: {failed:?}", failed.len());
    drop(last);
}

#[test]
fn a_successor_has_every_listener_and_its_own_configuration() {
    let guards = Guards::on_any_port();
    let old = guards.start(&[]);
    let ports = ["web", "telemetry"].map(|listener| old.port_of(listener));
    guards.write("web.yml", OPEN);
    let mut new = guards.upgrade(old);
    assert_eq!(["web", "telemetry"].map(|listener| new.port_of(listener)), ports);
    assert_eq!(Client::plain(ports[0]).get("/metrics").text(), PAGE);
    assert_eq!(Client::plain(ports[1]).get("/-/healthy").status, 200);
    new.signal(libc::SIGTERM);
    assert_eq!(new.wait_exit().code(), Some(0));
    assert!(!guards.socket().exists());
}

#[test]
fn a_successor_may_listen_on_more_and_on_less() {
    let mut guards = Guards::on_any_port();
    let file = |name: &str| guards.dir.path().join(name);
    let (kept, left) = (file("kept.sock"), file("left.sock"));
    let unix = |path: &Path| format!("unix:{}", path.display());
    guards.write("web.yml", OPEN);
    guards.listen = [unix(&kept), unix(&left)].join(",");
    let old = guards.start(&[]);
    old.wait_stderr("both", 2, |line| line.contains("listener=web"));
    guards.listen = ["127.0.0.1:0".to_owned(), unix(&kept)].join(",");
    let mut new = guards.upgrade(old);
    assert!(!left.exists(), "no guard listens there");
    assert_eq!(Client::unix(&kept).unwrap().get("/metrics").text(), PAGE);
    assert_eq!(Client::plain(new.port_of("web")).get("/metrics").text(), PAGE);
    new.signal(libc::SIGTERM);
    assert_eq!(new.wait_exit().code(), Some(0));
    assert!(!kept.exists() && !guards.socket().exists(), "files of the last guard");
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let guards = Guards::on_any_port();
    let old = guards.start(&[]);
    let port = old.port_of("web");
    let config = fs::read(guards.dir.path().join("web.yml")).unwrap();
    for config in ["tls_server_config: {cert_file: absent.crt}", "", "basic_auth_users:\n"] {
        guards.write("web.yml", config);
        guards.fail(&["--upgrade"]).expect_code(1);
    }
    guards.write("web.yml", config);
    old.wait_stderr("that it goes on", 3, |line| {
        line.contains("Failed to hand over to a successor")
    });
    assert_eq!(scrape(port), PAGE);
    let new = guards.upgrade(old);
    assert_eq!(scrape(port), PAGE);
    drop(new);
}

/// What runs when the successor comes is finished by the guard that began it.
#[test]
fn the_first_guard_finishes_the_requests_that_it_has_begun() {
    let mut guards = Guards::on_any_port();
    let (exporter, release) = Exporter::held("", ok("", PAGE));
    guards.exporter = exporter;
    let mut old = guards.start(&[]);
    let port = old.port_of("web");
    let mut client = TlsClient::new().connect(port);
    client.send(get("/metrics", &authorization(SCRAPER)));
    eventually("the exporter is asked", || guards.exporter.requests().len() == 1);
    let new = guards.start(&["--upgrade"]);
    old.wait_stderr("that it stops", 1, |line| line.contains("finishing running requests"));
    release.send(()).unwrap();
    assert_eq!(client.response().text(), PAGE);
    assert_eq!(old.wait_exit().code(), Some(0));
    drop(new);
}

#[test]
fn a_process_of_another_user_does_not_get_the_sockets() {
    let guards = Guards::on_any_port();
    // The umask gives nothing away either.
    let mut lax = process::command("sh");
    lax.args(["-c", "umask 0; exec \"$@\"", "sh"]).arg(guard::binary().get_program());
    lax.args(guards.command(&[]).get_args());
    let old = Process::spawn(lax, guards.dir.path());
    let port = old.port_of("web");
    let mode = fs::metadata(guards.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");

    // Every user may open the file now: the kernel tells which user connects.
    fs::set_permissions(guards.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(guards.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let mut other = process::command("setpriv");
    other.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    other.arg(guard::binary().get_program());
    other.args(guards.command(&["--upgrade"]).get_args());
    Finished::run(&mut other, guards.dir.path(), b"").expect_code(1);
    old.wait_stderr("the refusal", 1, |line| line.contains("runs as user 65534"));
    assert_eq!(scrape(port), PAGE);

    // One that says nothing holds up neither requests nor the next successor.
    let silent = UnixStream::connect(guards.socket()).unwrap();
    assert_eq!(scrape(port), PAGE);
    drop(silent);
    drop(guards.upgrade(old));
}

#[test]
fn an_upgrade_without_a_predecessor_fails() {
    let guards = Guards::on_any_port();
    let failed = guards.fail(&["--upgrade"]).expect_code(1);
    assert!(failed.stderr.contains("--upgrade.socket upgrade.sock: "), "{failed}");
    let old = guards.start(&[]);
    let failed = guards.fail(&[]).expect_code(1);
    assert!(failed.stderr.contains("--upgrade.socket upgrade.sock: "), "{failed}");
    drop(old);

    let alone = guard::run(guards.dir.path(), &["--upgrade", "--web.config.file=web.yml"]);
    alone.expect_code(2);
    guards.fail(&["--", "true"]).expect_code(2);
    guards.fail(&["--web.systemd-socket"]).expect_code(2);
}
