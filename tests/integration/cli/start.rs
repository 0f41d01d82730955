//! Starting: flags, environment variables, and every way in which a start fails.

use std::fs;

use crate::support::guard::{binary, run};
use crate::support::process::Finished;
use crate::support::*;

#[test]
fn without_a_configuration_it_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let finished = run(dir.path(), &["--web.listen-address=127.0.0.1:0"]).expect_code(1);
    for name in ["--web.config.file", "init", "quickstart"] {
        assert!(finished.stderr.contains(name), "{name}: {finished}");
    }
    assert!(!finished.stderr.contains("Listening"), "{finished}");
}

#[test]
fn a_configuration_that_cannot_be_read_stops_the_start() {
    let failed = GuardBuilder::new().fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("web.yml"), "{failed}");
    let builder = GuardBuilder::new();
    fs::create_dir(builder.path("web.yml")).unwrap();
    let failed = builder.fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("web.yml"), "{failed}");
}

#[test]
fn a_bad_configuration_stops_the_start_and_names_every_problem() {
    let config = yaml(
        "
        tls_server_config:
          min_version: TLS14
          nonsense: 1
        basic_auth_users:
          a: plain
        ",
    );
    let failed = GuardBuilder::new().config(config).fail_to_start().expect_code(1);
    for place in ["web.yml:2: error:", "web.yml:3: error:", "web.yml:5: error:"] {
        assert!(failed.stderr.contains(place), "{place}: {failed}");
    }
    assert!(!failed.stderr.contains("Listening"), "{failed}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.yml"), "").unwrap();
    for args in [
        &["--nonsense"][..],
        &["nonsense"],
        &["check"],
        &["check", "--nonsense", "web.yml"],
        &["init"],
        &["hash-password", "--cost=3"],
        &["hash-password", "--cost=32"],
        &["hash-password", "--cost=many"],
        &["--web.config.file=web.yml", "--upstream=https://127.0.0.1:1"],
        &["--web.config.file=web.yml", "--upstream=127.0.0.1:9100"],
        &["--web.config.file=web.yml", "--upstream=http://127.0.0.1:99999"],
        &["--web.config.file=web.yml", "--upstream=unix:relative"],
        &["--web.config.file=web.yml", "--web.listen-address=127.0.0.1:99999"],
        &["--web.config.file=web.yml", "--web.listen-address=127.0.0.1"],
        &["--web.config.file=web.yml", "--log.level=loud"],
        &["--web.config.file=web.yml", "--log.format=xml"],
        &["--web.config.file=web.yml", "--shutdown.grace-period=soon"],
        &["--web.config.file"],
    ] {
        let finished = run(dir.path(), args);
        assert_eq!(finished.code, Some(2), "{finished}");
        assert!(!finished.stderr.is_empty(), "{finished}");
    }
}

#[test]
fn help_names_every_flag_and_version_the_version() {
    let dir = tempfile::tempdir().unwrap();
    let help = run(dir.path(), &["--help"]).expect_code(0);
    for name in [
        "--web.listen-address",
        "--web.systemd-socket",
        "--web.config.file",
        "--upstream",
        "--telemetry.listen-address",
        "--log.level",
        "--log.format",
        "--shutdown.grace-period",
        "check",
        "hash-password",
        "init",
        "quickstart",
        "EXPORTER_GUARD_WEB_CONFIG_FILE",
    ] {
        assert!(help.stdout.contains(name), "{name}: {help}");
    }
    let version = run(dir.path(), &["--version"]).expect_code(0);
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

/// A guard whose flags all come by the environment.
fn by_environment(variables: &[(&str, &str)]) -> process::Process {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("web.yml"), scraper()).unwrap();
    let mut command = binary();
    command.env("EXPORTER_GUARD_WEB_CONFIG_FILE", dir.path().join("web.yml"));
    command.env("EXPORTER_GUARD_WEB_LISTEN_ADDRESS", "127.0.0.1:0");
    command.env("EXPORTER_GUARD_TELEMETRY_LISTEN_ADDRESS", "127.0.0.1:0");
    command.envs(variables.iter().copied());
    let process = process::Process::spawn(command, dir.path());
    process.wait_stderr("listening", 2, |line| line.contains("Listening on"));
    process
}

#[test]
fn every_flag_has_an_environment_variable() {
    let exporter = Exporter::new();
    let process = by_environment(&[
        ("EXPORTER_GUARD_UPSTREAM", &exporter.to_string()),
        ("EXPORTER_GUARD_LOG_FORMAT", "json"),
        ("EXPORTER_GUARD_LOG_LEVEL", "debug"),
        ("EXPORTER_GUARD_SHUTDOWN_GRACE_PERIOD", "1s"),
    ]);
    let web = process.wait_stderr("the web listener", 1, |line| line.contains("\"web\""));
    let line: serde_json::Value = serde_json::from_str(&web).expect("JSON");
    let port = wire::port(line["address"].as_str().expect("an address"));
    assert_eq!(Client::plain(port).get_as(SCRAPER, "/metrics").text(), PAGE);
}

#[test]
fn a_flag_wins_over_its_environment_variable() {
    let exporter = Exporter::new();
    let guard = GuardBuilder::new()
        .config(OPEN)
        .upstream(&exporter)
        .env("EXPORTER_GUARD_UPSTREAM", "http://127.0.0.1:1")
        .env("EXPORTER_GUARD_WEB_CONFIG_FILE", "absent.yml")
        .start();
    assert_eq!(guard.connect().get("/metrics").text(), PAGE);
}

#[test]
fn an_address_that_is_taken_stops_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let builder = GuardBuilder::new().config(OPEN).listen(&address);
    let failed = builder.fail_to_start().expect_code(1);
    assert!(failed.stderr.contains(&address), "{failed}");
    let builder = GuardBuilder::new().config(OPEN);
    let failed = builder.arg(format!("--web.listen-address={address}")).fail_to_start();
    assert_eq!(failed.code, Some(1), "{failed}");
}

#[test]
fn a_port_without_a_host_listens_on_ipv4_and_ipv6() {
    let guard = GuardBuilder::new().config(OPEN).listen(":0").start();
    assert_eq!(guard.connect().get("/metrics").status, 200);
    if let Ok(stream) = std::net::TcpStream::connect(("::1", guard.port())) {
        drop(stream);
    }
    let host = GuardBuilder::new().config(OPEN).listen("localhost:0").start();
    assert_eq!(
        Curl::new().fetch(&format!("http://localhost:{}/metrics", host.port())).response.status,
        200
    );
}

/// What an operator's service manager sees: nothing on stdout, everything on stderr.
#[test]
fn logs_go_to_stderr_and_nothing_to_stdout() {
    let mut guard = GuardBuilder::new().config(OPEN).start();
    assert_eq!(guard.connect().get("/metrics").status, 200);
    guard.signal(libc::SIGTERM);
    assert_eq!(guard.process().wait_exit().code(), Some(0));
    assert_eq!(guard.stdout(), [""; 0]);
}

/// The upstream's name is looked up when it is needed.
#[test]
fn a_host_name_of_an_upstream_is_resolved() {
    let exporter = Exporter::new();
    let port = wire::port(exporter.address()).to_string();
    let upstream = format!("http://localhost:{port}");
    let guard = GuardBuilder::new().config(OPEN).upstream(upstream).start();
    // localhost may be ::1 first, where no exporter listens.
    assert_eq!(guard.connect().get("/metrics").text(), PAGE);
    let guard = GuardBuilder::new().config(OPEN).upstream("http://name.invalid:9100").start();
    assert_eq!(guard.connect().get("/metrics").status, 502);
}

#[test]
fn a_broken_pipe_is_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = binary();
    command
        .arg("--help")
        .stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = command.current_dir(dir.path()).output().expect("the binary");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{said}");
    let finished = Finished::run(binary().args(["check", "absent.yml"]), dir.path(), b"");
    assert_eq!(finished.code, Some(1), "{finished}");
}
