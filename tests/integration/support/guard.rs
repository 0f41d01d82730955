//! The program under test, in a directory of its own.

use std::fmt::Display;
use std::fs;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::certificates::{Identity, ServerTls};
use super::curl::Curl;
use super::logfmt;
use super::process::{self, Finished, Process, command};
use super::tls::TlsClient;
use super::wire::{Client, Response, basic, get, port};
use super::yaml::indented;

/// The name of the web configuration in the guard's directory.
pub const WEB_CONFIG: &str = "web.yml";

/// The section that [`GuardBuilder::tls`] writes the files for.
pub const TLS: &str = "\
tls_server_config:
  cert_file: server.crt
  key_file: server.key
";

/// Plaintext for everybody, in so many words.
pub const OPEN: &str = "\
basic_auth_users: {}
tls_server_config: {}
";

/// A configuration that asks nobody for anything, in so many words, with further sections.
pub fn open(sections: impl AsRef<str>) -> String {
    OPEN.to_owned() + sections.as_ref()
}

/// To follow [`TLS`]: demands certificates of the CAs in `clients.crt`.
pub const VERIFIED_CLIENTS: &str = "  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: clients.crt
";

/// The section of TLS with further keys.
pub fn tls_with(keys: &str) -> String {
    TLS.to_owned() + &indented(2, keys)
}

/// A `proxy` section with these keys.
pub fn proxy(keys: &str) -> String {
    "proxy:\n".to_owned() + &indented(2, keys)
}

/// A `proxy` section with nothing but these limits, as they stand in a flow mapping.
pub fn limits(limits: &str) -> String {
    format!("proxy: {{limits: {{{limits}}}}}\n")
}

/// Asks for a reload.
pub const RELOAD: &str = "POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";

/// The binary: what cargo built, unless `EXPORTER_GUARD_BIN` names another.
pub fn binary() -> Command {
    let built = PathBuf::from(env!("CARGO_BIN_EXE_exporter-guard"));
    let mut guard = command(std::env::var_os("EXPORTER_GUARD_BIN").map_or(built, PathBuf::from));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("EXPORTER_GUARD_") {
            guard.env_remove(name);
        }
    }
    guard
}

/// Run the binary to its end.
pub fn run(cwd: &Path, args: &[&str]) -> Finished {
    Finished::run(binary().args(args), cwd, b"")
}

/// A bcrypt hash at a cost that takes no time.
pub fn quick_hash(password: impl AsRef<[u8]>) -> String {
    hash(password, 4)
}

pub fn hash(password: impl AsRef<[u8]>, cost: u32) -> String {
    bcrypt::hash(password, cost).expect("a password that bcrypt takes")
}

/// A `basic_auth_users` section.
pub fn users(users: &[(&str, &str)]) -> String {
    let lines = users.iter().map(|(name, hash)| format!("  {name:?}: {hash}\n"));
    std::iter::once("basic_auth_users:\n".to_owned()).chain(lines).collect()
}

/// TLS, and [`SCRAPER`] for the only user.
pub fn guarded() -> String {
    TLS.to_owned() + &scraper()
}

/// One user, `scraper`, with the password `open sesame`.
pub fn scraper() -> String {
    users(&[("scraper", &quick_hash(SCRAPER.1))])
}

pub const SCRAPER: (&str, &str) = ("scraper", "open sesame");

type CommandChange = Box<dyn FnOnce(&mut Command)>;

/// What a guard is to be started with.
pub struct GuardBuilder {
    dir: TempDir,
    config_path: PathBuf,
    listen: Option<String>,
    telemetry: String,
    upstream: String,
    args: Vec<String>,
    child: Vec<String>,
    inside: Vec<String>,
    env: Vec<(String, String)>,
    before_exec: Option<CommandChange>,
}

impl GuardBuilder {
    /// In front of nothing, without a configuration.
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            config_path: WEB_CONFIG.into(),
            listen: Some("127.0.0.1:0".to_owned()),
            telemetry: String::new(),
            upstream: "self".to_owned(),
            args: Vec::new(),
            child: Vec::new(),
            inside: Vec::new(),
            env: Vec::new(),
            before_exec: None,
        }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write(&self.path(name), content);
        self
    }

    /// Write the web configuration.
    pub fn config(self, text: impl AsRef<[u8]>) -> Self {
        self.file(WEB_CONFIG, text)
    }

    /// Where the web configuration is, when not at its usual place.
    pub fn config_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.config_path = path.into();
        self
    }

    /// The files that [`TLS`] names, and `ca.crt` for clients.
    pub fn tls(self, tls: &ServerTls) -> Self {
        self.pair("server", &tls.identity).file("ca.crt", tls.ca.pem())
    }

    /// A certificate and its key, `NAME.crt` and `NAME.key`.
    pub fn pair(self, name: &str, identity: &Identity) -> Self {
        write_pair(self.dir(), name, identity);
        self
    }

    /// The configuration of most tests: TLS, and [`SCRAPER`] for the only user.
    pub fn guarded(self, tls: &ServerTls) -> Self {
        self.config(guarded()).tls(tls)
    }

    pub fn upstream(mut self, upstream: impl Display) -> Self {
        self.upstream = upstream.to_string();
        self
    }

    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    pub fn telemetry(self) -> Self {
        self.telemetry_at("127.0.0.1:0")
    }

    pub fn telemetry_at(mut self, address: &str) -> Self {
        address.clone_into(&mut self.telemetry);
        self
    }

    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The command after `--`.
    pub fn child(mut self, words: &[&str]) -> Self {
        self.child = words.iter().map(ToString::to_string).collect();
        self
    }

    /// A command that runs the guard, given in its last arguments.
    pub fn inside(mut self, words: &[&str]) -> Self {
        self.inside = words.iter().map(ToString::to_string).collect();
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    fn command(&self) -> Command {
        let mut command = match self.inside.split_first() {
            None => binary(),
            Some((program, args)) => {
                let mut command = process::command(program);
                command.args(args).arg(binary().get_program());
                command
            }
        };
        command.arg(format!("--web.config.file={}", self.config_path.display()));
        if let Some(address) = &self.listen {
            command.arg(format!("--web.listen-address={address}"));
        }
        command.arg(format!("--telemetry.listen-address={}", self.telemetry));
        command.arg(format!("--upstream={}", self.upstream));
        command.args(&self.args);
        if !self.child.is_empty() {
            command.arg("--").args(&self.child);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Start it where it is expected to give up.
    pub fn fail_to_start(self) -> Finished {
        Finished::run(&mut self.command(), self.dir.path(), b"")
    }

    /// Change the command before it is started.
    pub fn before_exec(mut self, change: impl FnOnce(&mut Command) + 'static) -> Self {
        self.before_exec = Some(Box::new(change));
        self
    }

    /// Start it and do not wait.
    pub fn spawn(mut self) -> Guard {
        let mut command = self.command();
        if let Some(change) = self.before_exec.take() {
            change(&mut command);
        }
        let process = Process::spawn(command, self.dir.path());
        Guard { process, dir: self.dir }
    }

    /// Start it and wait until it listens.
    #[track_caller]
    pub fn start(self) -> Guard {
        let guard = self.spawn();
        guard.wait_log("the web listener", |line| is_listener(line, "web"));
        guard
    }
}

fn is_listener(line: &str, name: &str) -> bool {
    let fields = logfmt::parse(line);
    fields.get("msg").is_some_and(|msg| msg == "Listening on")
        && fields.get("listener").is_some_and(|listener| listener == name)
}

/// Write a file, in place where there is one.
pub fn write(path: &Path, content: impl AsRef<[u8]>) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a directory");
    }
    fs::write(path, content).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "key") {
        // As an operator has it; the guard warns of anything else.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("an own file");
    }
}

/// Write a certificate and its key, `NAME.crt` and `NAME.key`.
pub fn write_pair(directory: &Path, name: &str, identity: &Identity) {
    write(&directory.join(format!("{name}.crt")), identity.chain_pem());
    write(&directory.join(format!("{name}.key")), identity.key_pem());
}

/// What `check` says of a web configuration.
pub fn check(config: &str) -> Finished {
    let builder = GuardBuilder::new().config(config);
    run(builder.dir(), &["check", WEB_CONFIG])
}

impl Process {
    /// Where a guard listens, by the name of the listener; waits for it.
    #[track_caller]
    pub fn address(&self, listener: &str) -> String {
        let line = self.wait_stderr(listener, 1, |line| is_listener(line, listener));
        logfmt::field(&line, "address")
    }

    #[track_caller]
    pub fn port_of(&self, listener: &str) -> u16 {
        port(&self.address(listener))
    }

    /// The first log line with this message, waiting for it.
    #[track_caller]
    pub fn wait_message(&self, message: &str) -> String {
        self.wait_stderr(message, 1, |line| logfmt::field(line, "msg") == message)
    }
}

/// A running guard.
pub struct Guard {
    process: Process,
    dir: TempDir,
}

impl Deref for Guard {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Guard {
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Write a file in the guard's directory, in place.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write(&self.path(name), content);
    }

    /// Write a file beside and rename it into place, as careful programs do.
    pub fn replace(&self, name: &str, content: impl AsRef<[u8]>) {
        let beside = self.path(&format!("{name}.new"));
        write(&beside, content);
        fs::rename(&beside, self.path(name)).expect("renaming");
    }

    pub fn port(&self) -> u16 {
        self.port_of("web")
    }

    /// Of the web listener on this address, where there are several.
    pub fn port_on(&self, host: &str) -> u16 {
        let line = self.wait_log(host, |line| {
            is_listener(line, "web") && logfmt::field(line, "address").starts_with(host)
        });
        port(&logfmt::field(&line, "address"))
    }

    pub fn telemetry_port(&self) -> u16 {
        self.port_of("telemetry")
    }

    /// A connection to the web listener without TLS.
    pub fn connect(&self) -> Client {
        Client::plain(self.port())
    }

    /// The status of a request with these credentials.
    #[track_caller]
    pub fn login(&self, user: impl AsRef<[u8]>, password: impl AsRef<[u8]>) -> u16 {
        let credentials = format!("Authorization: {}\r\n", basic(user, password));
        self.connect().request(get("/metrics", &credentials)).status
    }

    /// The address for a client of HTTPS.
    pub fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{path}", self.port())
    }

    /// A curl that trusts the CA that [`GuardBuilder::tls`] left.
    pub fn curl(&self) -> Curl {
        Curl::new().cacert(&self.path("ca.crt"))
    }

    /// What is served to any client, in DER.
    #[track_caller]
    pub fn certificate(&self) -> Vec<u8> {
        let client = TlsClient::new().connect(self.port());
        client.ssl().peer_certificate().expect("a certificate").to_der().unwrap()
    }

    /// A connection to the telemetry listener.
    pub fn telemetry(&self) -> Client {
        Client::plain(self.telemetry_port())
    }

    /// Ask for a reload; the answer comes when it is done.
    #[track_caller]
    pub fn reload(&self) -> Response {
        self.telemetry().request(RELOAD)
    }

    /// Wait until the guard, which looks at its files once more when it has started, has done so.
    /// A test of how it learns of a change must not be helped by that.
    ///
    /// Requests to reload are answered in turn; one may come before that look, but no two.
    #[track_caller]
    pub fn wait_first_look(&self) {
        for count in 1..=2 {
            self.signal(libc::SIGHUP);
            self.wait_stderr("an answer to SIGHUP", count, |line| {
                logfmt::field(line, "msg") == "Web configuration is unchanged"
            });
        }
    }

    /// The value of a metric of the guard's own; of several series with these labels, the sum.
    #[track_caller]
    pub fn metric(&self, series: &str) -> f64 {
        let page = self.telemetry().get("/metrics").text();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let wanted: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
        let value = |line: &str| -> Option<f64> {
            let (found, value) = line.rsplit_once(' ')?;
            let (found, labels) = found.split_once('{').unwrap_or((found, ""));
            let has_all = wanted.iter().all(|label| labels.contains(label));
            (found == name && has_all).then(|| value.parse().expect("a number"))
        };
        let values: Vec<f64> = page.lines().filter_map(value).collect();
        assert!(!values.is_empty(), "no {series} in\n{page}");
        values.iter().sum()
    }

    /// The first log line that `wanted` takes, waiting for it.
    #[track_caller]
    pub fn wait_log(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_stderr(what, 1, wanted)
    }

    /// Wait until the configuration with this number is in force.
    #[track_caller]
    pub fn wait_generation(&self, generation: u32) -> String {
        self.wait_log(&format!("reload to generation {generation}"), |line| {
            is_reload(line) && logfmt::field(line, "generation") == generation.to_string()
        })
    }

    /// Wait for the `count`th reload that failed.
    #[track_caller]
    pub fn wait_failed_reload(&self, count: usize) -> String {
        self.wait_stderr("a failed reload", count, is_failed_reload)
    }
}

pub fn is_reload(line: &str) -> bool {
    logfmt::field(line, "msg") == "Reloaded web configuration"
}

pub fn is_failed_reload(line: &str) -> bool {
    logfmt::field(line, "msg") == "Reload failed, keeping the last good configuration"
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let panics: Vec<String> =
                self.stderr().into_iter().filter(|line| line.contains("panicked at")).collect();
            assert!(panics.is_empty(), "the guard panicked\n{}", self.describe());
        }
    }
}
