//! Secrets are in the memory of the guard and nowhere else.

use std::fs;
use std::os::unix::process::ExitStatusExt;

use crate::support::guard::hash;
use crate::support::*;

const PASSWORD: &str = "canary-password-7f3a";

/// The guard with a key, a hash and a password that are in use, and what must not be seen.
fn canaries() -> (Guard, ServerTls, Vec<String>) {
    let tls = ServerTls::new();
    let hash = hash(PASSWORD, 4);
    let config = format!("{TLS}{}", users(&[("scraper", &hash)]));
    let builder = GuardBuilder::new().config(config).tls(&tls).telemetry();
    let guard = builder.arg("--log.level=trace").upstream("http://127.0.0.1:1").start();
    let key = tls.identity.key_pem().lines().nth(1).unwrap().to_owned();
    let encoded = basic("scraper", PASSWORD).split(' ').nth(1).unwrap().to_owned();
    let secrets = vec![PASSWORD.to_owned(), encoded, hash[7..].to_owned(), key];
    (guard, tls, secrets)
}

#[test]
fn no_secret_is_in_an_answer_a_log_or_proc() {
    let (mut guard, _tls, secrets) = canaries();
    let mut seen = Vec::new();
    let mut client = TlsClient::new().connect(guard.port());
    // Right (the exporter is down), wrong, malformed and misplaced; each answer is looked through.
    for request in [
        get("/metrics", &format!("Authorization: {}\r\n", basic("scraper", PASSWORD))),
        get(
            "/metrics",
            &format!("Authorization: {}\r\n", basic("scraper", format!("{PASSWORD}x"))),
        ),
        get("/metrics", &format!("Authorization: Basic {PASSWORD}\r\n")),
        get("/metrics", &format!("Authorization: Bearer {PASSWORD}\r\n")),
        get(&format!("/metrics?password={PASSWORD}"), ""),
    ] {
        let response = client.request(&request);
        seen.push(format!("{} {:?} {}", response.status, response.headers, response.text()));
        client = TlsClient::new().connect(guard.port());
    }
    for broken in [format!("GET {PASSWORD}\r\n\r\n"), format!("{PASSWORD}: {PASSWORD}\r\n\r\n")] {
        let mut client = TlsClient::new().connect(guard.port());
        client.send(broken);
        seen.push(String::from_utf8_lossy(&client.rest()).into_owned());
    }
    for page in ["/metrics", "/", "/-/ready", "/-/healthy"] {
        seen.push(guard.telemetry().get(page).text());
    }
    guard.write("web.yml", format!("basic_auth_users: {{scraper: {PASSWORD}}}\n"));
    guard.wait_failed_reload(1);
    let mut telemetry = guard.telemetry();
    telemetry.send("POST /-/reload HTTP/1.1\r\nHost: localhost\r\n\r\n");
    seen.push(telemetry.response().text());
    for file in ["cmdline", "environ"] {
        let path = format!("/proc/{}/{file}", guard.id());
        seen.push(String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned());
    }
    guard.signal(libc::SIGTERM);
    guard.process().wait_exit();
    seen.push(guard.stdout().join("\n"));
    seen.push(guard.stderr().join("\n"));
    for secret in &secrets {
        for text in &seen {
            assert!(!text.contains(secret.as_str()), "{secret} in {text}");
        }
    }
}

#[test]
fn a_crash_leaves_no_core_dump() {
    let (mut guard, _tls, _) = canaries();
    let limits = fs::read_to_string(format!("/proc/{}/limits", guard.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    // The files of what is not dumpable belong to root (proc(5)), whatever user runs it.
    guard.signal(libc::SIGABRT);
    let status = guard.process().wait_exit();
    assert_eq!(status.signal(), Some(libc::SIGABRT));
    assert!(!status.core_dumped());
    let left: Vec<_> = fs::read_dir(guard.dir()).unwrap().flatten().collect();
    assert!(left.iter().all(|file| !file.file_name().to_string_lossy().contains("core")));
}

/// A program with the same user id and without capabilities reads the memory.
#[test]
fn another_process_of_the_user_cannot_read_the_memory() {
    let (guard, _tls, _) = canaries();
    let mut reader = process::command("setpriv");
    let memory = format!("/proc/{}/mem", guard.id());
    reader.args(["--bounding-set=-all", "--inh-caps=-all", "head", "-c1", &memory]);
    let tried = process::Finished::run(&mut reader, guard.dir(), b"");
    assert_ne!(tried.code, Some(0), "{tried}");
    assert!(tried.stderr.contains("Permission denied"), "{tried}");
}
