//! `init` and `quickstart`: from nothing to a guarded page.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openssl::pkey::Id;
use openssl::x509::X509;

use crate::support::guard::{binary, run};
use crate::support::process::{Finished, Process};
use crate::support::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode()
        & 0o777
}

fn certificate(dir: &Path) -> X509 {
    X509::from_pem(&fs::read(dir.join("server.crt")).unwrap()).unwrap()
}

/// The value of a key in the printed scrape configuration.
fn printed(finished: &Finished, key: &str) -> String {
    let values = finished.stdout.lines().filter_map(|line| line.trim().strip_prefix(key));
    let value = values.map(str::trim).next().unwrap_or_else(|| panic!("no {key} in {finished}"));
    value.trim_matches(['"', '\'']).to_owned()
}

fn init(dir: &Path, args: &[&str]) -> Finished {
    run(dir, &[&["init", "--directory=guard"], args].concat())
}

#[test]
fn init_makes_what_a_start_needs() {
    let dir = tempfile::tempdir().unwrap();
    let finished = init(dir.path(), &["--hostname=127.0.0.1", "--hostname=exporter.example"]);
    let finished = finished.expect_code(0);
    let made = dir.path().join("guard");
    assert_eq!(mode(&made.join("server.key")), 0o600);
    assert_eq!(mode(&made.join("server.crt")), 0o644);
    assert!(mode(&made.join("web.yml")) & 0o007 != 0o007);

    let cert = certificate(&made);
    let names = cert.subject_alt_names().expect("names");
    assert!(names.iter().any(|name| name.dnsname() == Some("exporter.example")));
    assert!(names.iter().any(|name| name.ipaddress() == Some(&[127, 0, 0, 1])));
    assert_eq!(cert.public_key().unwrap().id(), Id::EC);
    run(&made, &["check", "--strict", "web.yml"]).expect_code(0);

    // The password is in the output and nowhere else.
    let (user, password) = (printed(&finished, "username:"), printed(&finished, "password:"));
    assert!(password.len() >= 16, "{finished}");
    for entry in fs::read_dir(&made).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(!text.contains(&password), "the password is in a file");
    }

    let exporter = Exporter::new();
    let guard = GuardBuilder::new().config_path(made.join("web.yml")).upstream(&exporter).start();
    let curl = || Curl::new().cacert(&made.join("server.crt"));
    let url = guard.url("/metrics");
    assert_eq!(curl().fetch(&url).response.status, 401);
    assert_eq!(curl().user((&user, &password)).fetch(&url).response.text(), PAGE);
    let by_name = curl().user((&user, &password)).arg("--resolve");
    let by_name = by_name.arg(format!("exporter.example:{}:127.0.0.1", guard.port()));
    let url = format!("https://exporter.example:{}/metrics", guard.port());
    assert_eq!(by_name.fetch(&url).response.text(), PAGE);
}

/// The printed configuration as it is, in a real Prometheus.
#[test]
fn init_prints_what_prometheus_needs() {
    let dir = tempfile::tempdir().unwrap();
    let finished = init(dir.path(), &["--hostname=127.0.0.1"]).expect_code(0);
    for words in
        ["scrape_configs", "scheme: https", "basic_auth:", "tls_config:", "ca_file:", "curl"]
    {
        assert!(finished.stdout.contains(words), "{words} in {finished}");
    }
    let made = dir.path().join("guard");
    let exporter = real::NodeExporter::new();
    let guard =
        GuardBuilder::new().config_path(made.join("web.yml")).upstream(exporter.url()).start();
    let prometheus = real::PrometheusDir::new();
    prometheus.write("ca.crt", fs::read(made.join("server.crt")).unwrap());
    let job = format!(
        "
        tls_config:
          ca_file: ca.crt
        basic_auth:
          username: {}
          password: '{}'
        ",
        printed(&finished, "username:"),
        printed(&finished, "password:"),
    );
    prometheus.start(guard.port(), &job).wait_up();
}

#[test]
fn init_overwrites_no_file() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), &[]).expect_code(0);
    let made = dir.path().join("guard");
    let files = ["server.key", "server.crt", "web.yml"];
    let before = files.map(|name| fs::read(made.join(name)).unwrap());
    let again = init(dir.path(), &[]).expect_code(1);
    assert!(!again.stderr.is_empty(), "{again}");
    assert_eq!(files.map(|name| fs::read(made.join(name)).unwrap()), before);
    // Not even one of them, and nothing is left half-made.
    for name in files {
        let dir = tempfile::tempdir().unwrap();
        guard::write(&dir.path().join("guard").join(name), "precious");
        init(dir.path(), &[]).expect_code(1);
        assert_eq!(fs::read(dir.path().join("guard").join(name)).unwrap(), b"precious");
        assert_eq!(fs::read_dir(dir.path().join("guard")).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn init_makes_an_rsa_key_on_request() {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), &["--rsa"]).expect_code(0);
    let made = dir.path().join("guard");
    let key = certificate(&made).public_key().unwrap();
    assert_eq!((key.id(), key.bits()), (Id::RSA, 2048));
    run(&made, &["check", "--strict", "web.yml"]).expect_code(0);
}

#[test]
fn each_init_makes_another_password_and_key() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, two] = dirs.each_ref().map(|dir| {
        let finished = init(dir.path(), &[]).expect_code(0);
        let key = fs::read(dir.path().join("guard/server.key")).unwrap();
        (printed(&finished, "password:"), key)
    });
    assert_ne!(one.0, two.0);
    assert_ne!(one.1, two.1);
}

#[test]
fn bad_host_names_are_refused() {
    for name in ["", "a b", "http://a", "a/b", "a:9443", "a\nb"] {
        let dir = tempfile::tempdir().unwrap();
        let finished = init(dir.path(), &[&format!("--hostname={name}")]);
        assert!(matches!(finished.code, Some(1 | 2)), "{name:?}: {finished}");
        assert!(!dir.path().join("guard/server.key").exists(), "{name:?}");
    }
}

#[test]
fn quickstart_makes_the_files_once_and_starts() {
    let dir = tempfile::tempdir().unwrap();
    let start = || {
        let mut command = binary();
        command.args(["quickstart", "--web.listen-address=127.0.0.1:0"]);
        command.arg("--telemetry.listen-address=");
        let process = Process::spawn(command, dir.path());
        let port = process.port_of("web");
        (process, port)
    };
    let (mut first, port) = start();
    let word = |key: &str| {
        let line = first.wait_stdout(key, |line| line.trim().starts_with(key));
        line.trim()[key.len()..].trim().trim_matches(['"', '\'']).to_owned()
    };
    let (user, password) = (word("username:"), word("password:"));
    assert_eq!(TlsClient::new().connect(port).get_as((&user, "wrong"), "/metrics").status, 401);
    assert_eq!(TlsClient::new().connect(port).get_as((&user, &password), "/metrics").status, 200);
    first.signal(libc::SIGTERM);
    assert_eq!(first.wait_exit().code(), Some(0));

    // Once more: the same files, the same password.
    let key = dir.path().join("exporter-guard-quickstart/server.key");
    let before = fs::read(&key).unwrap();
    let (second, port) = start();
    assert_eq!(fs::read(&key).unwrap(), before);
    assert_eq!(TlsClient::new().connect(port).get_as((&user, &password), "/metrics").status, 200);
    assert!(!second.stdout().join("\n").contains(&password));
}

/// It would be served with a password that the other user knows.
#[test]
fn quickstart_does_not_use_a_configuration_that_another_user_could_have_put_there() {
    let dir = tempfile::tempdir().unwrap();
    let planted = dir.path().join("exporter-guard-quickstart");
    fs::create_dir(&planted).unwrap();
    fs::write(planted.join("web.yml"), scraper()).unwrap();
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = guard::run(dir.path(), &["quickstart", "--web.listen-address=127.0.0.1:0"]);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("can be written by other users"), "{refused}");
    fs::set_permissions(&planted, fs::Permissions::from_mode(0o755)).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(planted.join("web.yml"), Some(65534), None).unwrap();
        let refused = guard::run(dir.path(), &["quickstart", "--web.listen-address=127.0.0.1:0"]);
        assert!(refused.stderr.contains("belongs to user 65534"), "{refused}");
    }
}
