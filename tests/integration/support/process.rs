//! A child process that belongs to one test: output collected by threads, killed when dropped,
//! and printed in full when the test fails.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a debug build on a loaded machine; nothing waits for it when all is well.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something that gives no notice.
const POLL: Duration = Duration::from_millis(5);

/// Wait until `condition` holds; panics with `what` when it does not in [`PATIENCE`].
#[track_caller]
pub fn eventually(what: &str, condition: impl FnMut() -> bool) {
    eventually_within(PATIENCE, what, condition);
}

#[track_caller]
pub fn eventually_within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        // The one sleep that waits for anything: the interval of this poll.
        thread::sleep(POLL);
    }
}

/// Run a test against the clock. For tests that `make stress` runs, on a machine with nothing else
/// to do.
#[track_caller]
pub fn assert_within(limit: Duration, name: &str, test: impl FnOnce()) {
    let start = Instant::now();
    test();
    let took = start.elapsed();
    println!("{name}: {took:.1?}");
    assert!(took < limit, "{name} took {took:.1?}");
}

/// The lines of an output as they come.
#[derive(Clone, Default)]
struct Lines(Arc<(Mutex<Collected>, Condvar)>);

#[derive(Default)]
struct Collected {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn collect(&self, output: impl Read + Send + 'static) {
        let lines = self.clone();
        thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
                lines.lock().lines.push(text);
                lines.0.1.notify_all();
                line.clear();
            }
            lines.lock().ended = true;
            lines.0.1.notify_all();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Collected> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn all(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The `count`th line that `wanted` takes, waiting for it; `None` at the end or the limit.
    fn wait(&self, count: usize, wanted: &dyn Fn(&str) -> bool, limit: Duration) -> Option<String> {
        let end = Instant::now() + limit;
        let mut collected = self.lock();
        loop {
            let found = collected.lines.iter().filter(|line| wanted(line)).nth(count - 1);
            if let Some(line) = found {
                return Some(line.clone());
            }
            let left = end.saturating_duration_since(Instant::now());
            if collected.ended || left.is_zero() {
                return None;
            }
            let waited = self.0.1.wait_timeout(collected, left);
            collected = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn wait_end(&self) {
        let mut collected = self.lock();
        while !collected.ended {
            collected = self.0.1.wait(collected).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A running program.
pub struct Process {
    command: String,
    cwd: PathBuf,
    child: Child,
    status: Option<ExitStatus>,
    stdout: Lines,
    stderr: Lines,
}

impl Process {
    pub fn spawn(command: Command, cwd: &Path) -> Self {
        Self::spawn_with(command, cwd, Stdio::null())
    }

    /// With an input that [`Self::type_in`] writes to.
    pub fn spawn_interactive(command: Command, cwd: &Path) -> Self {
        Self::spawn_with(command, cwd, Stdio::piped())
    }

    fn spawn_with(mut command: Command, cwd: &Path, stdin: Stdio) -> Self {
        command.current_dir(cwd).stdin(stdin);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = show(&command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let (stdout, stderr) = (Lines::default(), Lines::default());
        stdout.collect(child.stdout.take().expect("piped"));
        stderr.collect(child.stderr.take().expect("piped"));
        Self { command: shown, cwd: cwd.to_owned(), child, status: None, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// A program that has ended takes nothing more.
    pub fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("an interactive program");
        let _ = input.write_all(text.as_bytes());
    }

    /// How many lines on stderr so far `wanted` takes.
    pub fn count_stderr(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.stderr.all().iter().filter(|line| wanted(line)).count()
    }

    pub fn stderr(&self) -> Vec<String> {
        self.stderr.all()
    }

    pub fn stdout(&self) -> Vec<String> {
        self.stdout.all()
    }

    /// The first line on stdout that `wanted` takes, waiting for it.
    #[track_caller]
    pub fn wait_stdout(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.stdout
            .wait(1, &wanted, PATIENCE)
            .unwrap_or_else(|| panic!("no line on stdout: {what}"))
    }

    /// The `count`th line on stderr that `wanted` takes.
    #[track_caller]
    pub fn wait_stderr(&self, what: &str, count: usize, wanted: impl Fn(&str) -> bool) -> String {
        self.stderr
            .wait(count, &wanted, PATIENCE)
            .unwrap_or_else(|| panic!("no line on stderr: {what}"))
    }

    pub fn signal(&self, signal: libc::c_int) {
        kill(self.id(), signal);
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("waiting for an own child");
        }
        self.status
    }

    /// Wait for the end and all of the output.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        eventually("the end of the process", || self.exited().is_some());
        self.stdout.wait_end();
        self.stderr.wait_end();
        self.status.expect("it has ended")
    }

    pub fn describe(&self) -> String {
        let status = match self.status {
            Some(status) => status.to_string(),
            None => "running".to_owned(),
        };
        format!(
            "command: {}\ncwd: {}\nstatus: {status}\nstdout:\n{}\nstderr:\n{}",
            self.command,
            self.cwd.display(),
            self.stdout.all().join("\n"),
            self.stderr.all().join("\n"),
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.exited();
        if thread::panicking() {
            eprintln!("--- {}", self.describe());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program that was run to its end left.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    shown: String,
}

impl Finished {
    /// Run `program` in `cwd` with `input` on stdin.
    pub fn run(command: &mut Command, cwd: &Path, input: &[u8]) -> Self {
        command.current_dir(cwd).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = format!("command: {}\ncwd: {}", show(command), cwd.display());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        // A program that does not read its input closes it.
        let _ = child.stdin.take().expect("piped").write_all(input);
        let output = child.wait_with_output().expect("waiting for an own child");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            shown,
        }
    }

    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr, shown } = self;
        write!(f, "{shown}\nexit code: {code:?}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// The program and its arguments as one would type them.
fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" ")
}

/// A command that finds the same environment and the same signal dispositions whoever runs the
/// tests.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    static SIGNALS: Once = Once::new();
    SIGNALS.call_once(ignore_no_signal);
    let mut command = Command::new(program);
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

/// A shell that starts the tests in the background has SIGINT and SIGQUIT ignored, nohup(1) SIGHUP,
/// and a program hands on what it ignores. Set back here and not in each child: what has to run
/// between fork and exec makes a start several times as expensive.
fn ignore_no_signal() {
    // SIGPIPE is ignored by Rust's runtime, which hands on the default.
    for signal in (1..libc::SIGSYS + 1).filter(|signal| *signal != libc::SIGPIPE) {
        // SAFETY: the action is plain data that is filled in, null is allowed for the other
        // pointer, and no handler is installed. SIGKILL and SIGSTOP are never ignored.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut action);
            if action.sa_sigaction == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
    }
}

/// Send a signal to a process that is a descendant of ours and runs.
#[track_caller]
pub fn kill(process: u32, signal: libc::c_int) {
    let id = libc::pid_t::try_from(process).expect("a process id");
    // SAFETY: kill takes plain integers.
    let result = unsafe { libc::kill(id, signal) };
    assert_eq!(result, 0, "kill: {}", io::Error::last_os_error());
}
