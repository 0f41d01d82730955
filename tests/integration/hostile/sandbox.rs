//! What the guard gives up at its start.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};

use exporter_guard::os::sandbox::{self, Connect, Landlock, SandboxPolicy};

use crate::support::*;

fn status(process: u32) -> Vec<String> {
    fs::read_dir(format!("/proc/{process}/task"))
        .unwrap()
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_whitespace().nth(1)).expect(name)
}

/// Those that handle what clients send.
const NETWORK_THREADS: [&str; 3] = ["tokio", "handshake", "bcrypt"];

#[test]
fn every_thread_is_without_privileges() {
    let guard = GuardBuilder::new().config(scraper()).telemetry().start();
    guard.wait_message("Entered the sandbox");
    // Starts the threads that check passwords.
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200);
    let names = procfs::thread_names(guard.id());
    for thread in NETWORK_THREADS {
        assert!(names.iter().any(|name| name.starts_with(thread)), "{thread}: {names:?}");
    }
    for status in status(guard.id()) {
        let name = field(&status, "Name:");
        assert_eq!(field(&status, "NoNewPrivs:"), "1", "{name}");
        assert_eq!(field(&status, "CapInh:"), "0000000000000000", "{name}");
        let held = u64::from_str_radix(field(&status, "CapEff:"), 16).unwrap();
        // Reading files of others (CAP_DAC_READ_SEARCH is number 2), for the reload.
        let faces_network = NETWORK_THREADS.iter().any(|thread| name.starts_with(thread));
        let allowed = if faces_network { 0 } else { 1 << 2 };
        assert_eq!(held & !allowed, 0, "{name} {held:x}");
    }
}

#[test]
fn with_a_child_only_the_main_thread_is_outside_the_sandbox() {
    let guard = GuardBuilder::new().config(OPEN).child(&["sleep", "1000"]).start();
    guard.wait_message("Started the exporter");
    let own = status(std::process::id());
    let own = field(&own[0], "NoNewPrivs:");
    for status in status(guard.id()) {
        let main = field(&status, "Pid:") == field(&status, "Tgid:");
        let expected = if main { own } else { "1" };
        assert_eq!(field(&status, "NoNewPrivs:"), expected, "{}", field(&status, "Name:"));
    }
    let child = procfs::children(guard.id());
    assert_eq!(field(&status(child[0])[0], "NoNewPrivs:"), own, "the exporter is as it would be");
}

#[test]
fn the_sandbox_can_be_turned_off() {
    let guard = GuardBuilder::new().config(OPEN).arg("--no-sandbox").start();
    guard.wait_message("Sandbox disabled by --no-sandbox");
    assert_eq!(guard.connect().get("/metrics").status, 200);
}

/// In a thread of this process, so that what it may still do can be tried.
#[test]
fn a_thread_in_the_sandbox_cannot_write_files_or_connect_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "content").unwrap();
    let sockets = dir.path().join("sockets");
    fs::create_dir(&sockets).unwrap();
    fs::write(sockets.join("listen"), "").unwrap();
    let listen = || TcpListener::bind("127.0.0.1:0").unwrap();
    let (exporter, other) = (listen(), listen());
    let [exporter_address, other_address] = [&exporter, &other].map(|l| l.local_addr().unwrap());
    let inside = move || {
        let denied = |error: std::io::Error| error.kind() == ErrorKind::PermissionDenied;
        let socket = sockets.join("listen");
        let policy = SandboxPolicy::new(
            Connect::Port(exporter_address.port()),
            std::iter::once(socket.as_path()),
        );
        let enforcement = sandbox::enter(&policy);
        assert_eq!(enforcement.landlock, Landlock::Enforced, "this kernel is too old");
        assert!(enforcement.is_full(), "{enforcement:?}");
        // Files can be read, not written, not removed; the network is the exporter.
        assert_eq!(fs::read_to_string(&file).unwrap(), "content");
        assert!(fs::write(&file, "").is_err_and(denied));
        assert!(fs::write(dir.path().join("new"), "").is_err_and(denied));
        assert!(fs::remove_file(&file).is_err_and(denied));
        assert!(TcpListener::bind("127.0.0.1:0").is_err_and(denied));
        assert!(TcpStream::connect(other_address).is_err_and(denied));
        assert!(TcpStream::connect(exporter_address).is_ok());
        // Threads of the network cannot even read.
        sandbox::enter_network_thread(&policy).unwrap();
        assert!(fs::read(&file).is_err_and(denied));
        assert!(fs::read("/etc/passwd").is_err_and(denied));
        assert!(fs::read_dir("/").is_err_and(denied));
        assert!(TcpStream::connect(exporter_address).is_ok());
        fs::remove_file(&socket).expect("the file of a listening socket");
    };
    std::thread::spawn(inside).join().expect("all of it");
}
