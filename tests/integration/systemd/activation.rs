//! `--web.systemd-socket`: listening on sockets that another process opened.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::support::process::Process;
use crate::support::*;

/// systemd's first descriptor (SD_LISTEN_FDS_START).
const FIRST: RawFd = 3;

const RESTARTS: usize = 20;

fn command(dir: &std::path::Path, exporter: &Exporter) -> Command {
    // The process id that LISTEN_PID has to name is that of the program.
    let mut command = process::command("sh");
    let binary = guard::binary().get_program().to_owned();
    command.args(["-c", "LISTEN_PID=$$ exec \"$@\"", "sh"]).arg(binary);
    command.arg("--web.systemd-socket").arg("--telemetry.listen-address=");
    command.arg(format!("--web.config.file={}", dir.join("web.yml").display()));
    command.arg(format!("--upstream={exporter}"));
    command
}

/// As systemd starts a service with these sockets.
fn start(dir: &std::path::Path, exporter: &Exporter, sockets: &[&TcpListener]) -> Process {
    let mut command = command(dir, exporter);
    command.env("LISTEN_FDS", sockets.len().to_string());
    let given: Vec<RawFd> = sockets.iter().map(|socket| socket.as_raw_fd()).collect();
    let pass = move || {
        for (index, socket) in given.iter().enumerate() {
            // The numbers may overlap: high ones first.
            let aside = FIRST + 100 + index as RawFd;
            // SAFETY: dup2 on descriptors that are open; made in the child, between fork and exec.
            if unsafe { libc::dup2(*socket, aside) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        for index in 0..given.len() as RawFd {
            // SAFETY: as above.
            if unsafe { libc::dup2(FIRST + 100 + index, FIRST + index) } < 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: system calls alone between fork and exec.
    unsafe { command.pre_exec(pass) };
    Process::spawn(command, dir)
}

fn listens(process: &Process, count: usize) {
    process
        .wait_stderr("the listeners", count, |line| logfmt::field(line, "msg") == "Listening on");
}

#[test]
fn several_sockets_are_listened_on() {
    let dir = tempfile::tempdir().unwrap();
    guard::write(&dir.path().join("web.yml"), OPEN);
    let exporter = Exporter::new();
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let guard = start(dir.path(), &exporter, &[&sockets[0], &sockets[1], &sockets[2]]);
    listens(&guard, 3);
    for socket in &sockets {
        let port = socket.local_addr().unwrap().port();
        assert_eq!(Client::plain(port).get("/metrics").text(), PAGE);
    }
}

/// The real program that does what systemd does.
#[test]
fn systemd_socket_activate_starts_it_with_the_first_connection() {
    let dir = tempfile::tempdir().unwrap();
    guard::write(&dir.path().join("web.yml"), OPEN);
    let exporter = Exporter::new();
    let addresses = [9, 10].map(|last| ports::own_address(last, 9443));
    let mut activate = process::command("systemd-socket-activate");
    for address in &addresses {
        activate.args(["-l", address]);
    }
    activate.arg(guard::binary().get_program());
    activate.args(["--web.systemd-socket", "--telemetry.listen-address="]);
    activate.arg("--web.config.file=web.yml").arg(format!("--upstream={exporter}"));
    let guard = Process::spawn(activate, dir.path());
    guard.wait_stderr("its sockets", 2, |line| line.starts_with("Listening on"));
    for address in &addresses {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        std::io::Write::write_all(&mut stream, get("/metrics", "Connection: close\r\n").as_bytes())
            .unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with(PAGE), "{answer}");
    }
}

/// The manager holds the socket: who connects while there is no guard waits for the next one.
#[test]
fn twenty_restarts_under_load_lose_no_request() {
    let dir = tempfile::tempdir().unwrap();
    let tls = ServerTls::new();
    guard::write(&dir.path().join("web.yml"), guarded());
    guard::write_pair(dir.path(), "server", &tls.identity);
    let exporter = Exporter::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let (served, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let more = authorization(SCRAPER);
    let scrape = |_number, stop: &load::Stop| {
        while !stop.is_set() {
            match TlsClient::new().try_get(port, &more) {
                Ok(response) if response.status == 200 => _ = served.fetch_add(1, Relaxed),
                other => failed.lock().unwrap().push(format!("{other:?}")),
            }
        }
    };
    // The last one serves until every request that was begun has its answer.
    let last = load::beside(4, scrape, || {
        for _ in 0..RESTARTS {
            let mut guard = start(dir.path(), &exporter, &[&socket]);
            listens(&guard, 1);
            let before = served.load(Relaxed);
            eventually("requests are served", || served.load(Relaxed) > before + 10);
            guard.signal(libc::SIGTERM);
            assert_eq!(guard.wait_exit().code(), Some(0));
        }
        let guard = start(dir.path(), &exporter, &[&socket]);
        listens(&guard, 1);
        guard
    });
    drop(last);
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), served.load(Relaxed));
}
