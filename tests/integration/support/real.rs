//! The real programs on either side of the guard, as Debian packages them.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::logfmt;
use super::process::{Process, command, eventually};
use super::wire::{Client, port};
use super::yaml::{indented, yaml};

fn listens(line: &str) -> bool {
    logfmt::field(line, "msg") == "Listening on"
}

/// Where an exporter, or Prometheus, says that it listens; waits for it.
pub fn address(process: &Process) -> String {
    logfmt::field(&process.wait_stderr("the address", 1, listens), "address")
}

pub struct NodeExporter {
    process: Process,
    _dir: TempDir,
}

impl NodeExporter {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut exporter = command("prometheus-node-exporter");
        exporter.arg("--web.listen-address=127.0.0.1:0");
        let process = Process::spawn(exporter, dir.path());
        Self { process, _dir: dir }
    }

    pub fn url(&self) -> String {
        format!("http://{}", address(&self.process))
    }
}

/// A Prometheus with one scrape job.
pub struct Prometheus {
    process: Process,
    dir: TempDir,
}

/// The directory of a Prometheus that is yet to start: for the files its configuration names.
pub struct PrometheusDir(TempDir);

impl PrometheusDir {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).expect("writing");
    }

    /// Start with a scrape job that has these further keys.
    pub fn start(self, target_port: u16, job: &str) -> Prometheus {
        let target = format!(
            "
            - job_name: guarded
              scheme: https
              static_configs:
              - targets: ['127.0.0.1:{target_port}']
            "
        );
        self.start_with(&(yaml(&target) + &indented(2, job)))
    }

    /// Start with these items of `scrape_configs`.
    pub fn start_with(self, jobs: &str) -> Prometheus {
        let global = "
            global:
              scrape_interval: 500ms
              scrape_timeout: 500ms
            scrape_configs:
            ";
        self.write("prometheus.yml", yaml(global) + &yaml(jobs));
        let mut prometheus = command("prometheus");
        prometheus.args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        prometheus.args(["--web.listen-address=127.0.0.1:0", "--log.level=info"]);
        let process = Process::spawn(prometheus, self.0.path());
        Prometheus { process, dir: self.0 }
    }
}

impl Prometheus {
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let beside = self.dir.path().join(format!("{name}.new"));
        fs::write(&beside, content).expect("writing");
        fs::rename(beside, self.dir.path().join(name)).expect("renaming");
    }

    /// What the API says, once it is ready to say anything.
    pub fn api(&self, path: &str) -> Value {
        self.process.wait_stderr("Prometheus", 1, |line| line.contains("Server is ready"));
        let mut client = Client::plain(port(&address(&self.process)));
        let answer: Value =
            serde_json::from_slice(&client.get(path).body).expect("the API answers in JSON");
        answer["data"].clone()
    }

    /// The only target.
    pub fn target(&self) -> Value {
        self.api("/api/v1/targets")["activeTargets"][0].clone()
    }

    /// Wait until a scrape that began after this call has worked.
    #[track_caller]
    pub fn wait_up(&self) {
        let before = self.target()["lastScrape"].clone();
        eventually(&format!("target up: {}", self.target()), || {
            let target = self.target();
            target["health"] == "up" && target["lastScrape"] != before
        });
    }

    /// Wait until the target is down, and say why.
    #[track_caller]
    pub fn wait_down(&self) -> String {
        eventually("target down", || self.target()["health"] == "down");
        self.target()["lastError"].as_str().unwrap_or_default().to_owned()
    }
}
