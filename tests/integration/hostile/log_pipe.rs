//! Standard error as a pipe of 4 KiB that nobody reads: a thread that wrote to it would block for ever.

use std::io::{BufRead, BufReader, PipeReader};
use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::process::eventually;
use crate::support::wire::Client;
use crate::support::*;

/// As much of a path as a line of the access log has.
const PATH_BYTES: usize = 256;
/// Enough to fill the queue of 1 MiB with their log lines.
const REQUESTS: usize = 3000;

struct Unread {
    child: Child,
    stderr: PipeReader,
    dir: TempDir,
}

impl Unread {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        guard::write(&dir.path().join("web.yml"), "basic_auth_users: {}\ntls_server_config: {}\n");
        let (stderr, write) = std::io::pipe().unwrap();
        rustix::pipe::fcntl_setpipe_size(&write, 4096).unwrap();
        let socket = |name| format!("unix:{}", dir.path().join(name).display());
        let child = guard::binary()
            .args(["--web.config.file=web.yml", "--upstream=self", "--log.access=all"])
            .arg(format!("--web.listen-address={}", socket("web")))
            .arg(format!("--telemetry.listen-address={}", socket("telemetry")))
            .current_dir(dir.path())
            .stderr(write)
            .spawn()
            .unwrap();
        Self { child, stderr, dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn connect(&self, name: &str) -> Client {
        let mut client = None;
        eventually("a connection", || {
            client = Client::unix(&self.path(name)).ok();
            client.is_some()
        });
        client.unwrap()
    }

    fn dropped_lines(&self) -> f64 {
        let page = self.connect("telemetry").get("/metrics").text();
        let line = page.lines().find(|line| line.starts_with("exporter_guard_log_dropped_lines"));
        let value = page.lines().find_map(|line| {
            line.strip_prefix("exporter_guard_log_dropped_lines_total ")?.parse().ok()
        });
        value.unwrap_or_else(|| panic!("no such metric: {line:?}"))
    }

    /// Sends requests until their log lines have filled pipe and queue.
    fn fill(&self) {
        let mut client = self.connect("web");
        let target = format!("/{}", "x".repeat(PATH_BYTES));
        for _ in 0..REQUESTS {
            assert_eq!(client.get(&target).status, 404);
        }
        assert!(self.dropped_lines() > 0.0);
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_guard_whose_stderr_nobody_reads_serves_and_reports_dropped_lines_once_it_is_read() {
    let unread = Unread::start();
    unread.fill();
    let mut client = unread.connect("web");
    assert_eq!(client.get("/metrics").status, 200, "it goes on serving");
    let lines = BufReader::new(unread.stderr.try_clone().unwrap()).lines();
    let reported = lines.map_while(Result::ok).find(|line| line.contains("Dropped log lines"));
    assert!(reported.is_some_and(|line| line.contains("level=WARN")));
}

#[test]
fn a_guard_whose_stderr_nobody_reads_stops_when_told() {
    let mut unread = Unread::start();
    unread.fill();
    let pid = Pid::from_child(&unread.child);
    kill_process(pid, Signal::TERM).unwrap();
    let status = unread.child.wait().unwrap();
    assert!(status.success(), "{status}");
}
