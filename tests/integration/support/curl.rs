//! curl, the client every operator has.

use std::path::Path;
use std::process::Command;

use super::process::{Finished, command};
use super::wire::Response;

pub struct Curl {
    command: Command,
}

/// What curl got, or its own exit code when it got nothing.
pub struct Fetched {
    pub response: Response,
    /// As curl names it: `1.1`, `2`.
    pub http_version: String,
}

impl Curl {
    pub fn new() -> Self {
        let mut curl = command("curl");
        curl.args(["--silent", "--show-error", "--max-time", "30", "--noproxy", "*"]);
        Self { command: curl }
    }

    pub fn arg(mut self, arg: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn cacert(self, file: &Path) -> Self {
        self.arg("--cacert").arg(file)
    }

    pub fn user(self, (name, password): (&str, &str)) -> Self {
        self.arg("--user").arg(format!("{name}:{password}"))
    }

    pub fn run(mut self) -> Finished {
        Finished::run(&mut self.command, Path::new("/"), b"")
    }

    /// Fetch and take apart; panics when curl fails.
    #[track_caller]
    pub fn fetch(mut self, url: &str) -> Fetched {
        let dir = tempfile::tempdir().expect("a directory");
        let (head, body) = (dir.path().join("head"), dir.path().join("body"));
        self.command.arg("--dump-header").arg(&head).arg("--output").arg(&body);
        self.command.args(["--write-out", "%{http_version} %{http_code}", url]);
        let finished = Finished::run(&mut self.command, dir.path(), b"").expect_code(0);
        let (http_version, status) =
            finished.stdout.split_once(' ').unwrap_or_else(|| panic!("no status: {finished}"));
        let head = std::fs::read_to_string(&head).expect("curl writes the header");
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        let response = Response {
            status: status.parse().expect("a status"),
            headers: headers.map(|(n, v)| (n.to_owned(), v.trim().to_owned())).collect(),
            // There is none when the body is empty.
            body: std::fs::read(&body).unwrap_or_default(),
        };
        Fetched { response, http_version: http_version.to_owned() }
    }
}
