//! What a service manager hears on its socket (sd_notify(3)).

use std::os::unix::net::UnixDatagram;

use crate::support::*;

/// The manager's side of NOTIFY_SOCKET.
struct Manager {
    socket: UnixDatagram,
    _dir: tempfile::TempDir,
    address: String,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(process::PATIENCE)).unwrap();
        Self { socket, address: path.to_str().unwrap().to_owned(), _dir: dir }
    }

    fn start(&self, builder: GuardBuilder) -> Guard {
        builder.env("NOTIFY_SOCKET", &self.address).start()
    }

    /// The next message, as lines.
    fn hear(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).expect("a message");
        String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn expect(&self, line: &str) -> Vec<String> {
        let heard = self.hear();
        assert!(heard.iter().any(|l| l == line), "{heard:?} instead of {line}");
        heard
    }
}

#[test]
fn the_manager_is_told_of_start_reload_and_stop() {
    let manager = Manager::new();
    let mut guard = manager.start(GuardBuilder::new().config(scraper()));
    let ready = manager.expect("READY=1");
    assert!(ready.contains(&"STATUS=Serving".to_owned()), "{ready:?}");
    guard.signal(libc::SIGHUP);
    let reloading = manager.expect("RELOADING=1");
    assert!(reloading.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{reloading:?}");
    manager.expect("READY=1");
    guard.write("web.yml", "nonsense: [\n");
    guard.wait_failed_reload(1);
    guard.signal(libc::SIGHUP);
    manager.expect("RELOADING=1");
    let ready = manager.expect("READY=1");
    assert!(ready.iter().any(|line| line.starts_with("STATUS=Reload failed")), "{ready:?}");
    guard.signal(libc::SIGTERM);
    manager.expect("STOPPING=1");
    assert_eq!(guard.process().wait_exit().code(), Some(0));
}

#[test]
fn the_watchdog_hears_more_than_once_in_its_time() {
    let manager = Manager::new();
    let builder = GuardBuilder::new().config(OPEN).env("WATCHDOG_USEC", "200000");
    let _guard = manager.start(builder);
    let mut fed = 0;
    while fed < 5 {
        fed += usize::from(manager.hear() == ["WATCHDOG=1"]);
    }
}

/// Units that come after the guard want the exporter.
#[test]
fn with_a_child_ready_is_when_the_exporter_answers() {
    let manager = Manager::new();
    let refusing = ports::Refusing::new();
    let builder =
        GuardBuilder::new().config(OPEN).upstream(format!("http://{}", refusing.address()));
    let guard = manager.start(builder.child(&["sleep", "1000"]));
    guard.wait_message("Started the exporter");
    manager.socket.set_nonblocking(true).unwrap();
    assert!(manager.socket.recv(&mut [0; 64]).is_err(), "ready without an exporter");
    manager.socket.set_nonblocking(false).unwrap();
    let exporter = Exporter::on(refusing.listen(), exporter::always(ok("", PAGE)));
    manager.expect("READY=1");
    drop(exporter);
}
