//! A broken file changes nothing but the log and a metric.

use std::fs;

use super::with_password;
use crate::support::*;

#[test]
fn a_broken_file_keeps_the_last_good_configuration() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    let broken = [
        "basic_auth_users: {scraper: plain}\n",
        "basic_auth_users: [",
        "basic_auth_user: {a: b}\n",
        "tls_server_config: {cert_file: absent.crt, key_file: absent.key}\n",
        "\u{0}\u{1}",
        "[a, list]\n",
        "just words",
    ];
    for (count, content) in broken.iter().enumerate() {
        guard.replace("web.yml", content);
        let line = guard.wait_failed_reload(count + 1);
        assert_eq!(logfmt::field(&line, "level"), "ERROR", "{line}");
        assert_eq!(logfmt::field(&line, "generation"), "1", "{line}");
        let path = fs::canonicalize(guard.path("web.yml")).unwrap();
        let err = logfmt::field(&line, "err");
        assert!(err.contains("web.yml"), "{line}");
        assert!(!err.starts_with('/') || err.starts_with(path.to_str().unwrap()), "{line}");
        assert_eq!(guard.login("scraper", "1"), 200, "{content:?}");
        assert_eq!(guard.login("scraper", "2"), 401, "{content:?}");
    }
    guard.replace("web.yml", with_password("2"));
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);
}

#[test]
fn every_problem_is_named_with_its_line() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    guard.replace(
        "web.yml",
        yaml(
            "
            tls_server_config:
              min_version: TLS14
            http_server_config:
              http2: perhaps
            basic_auth_users:
              a: plain
            ",
        ),
    );
    let err = logfmt::field(&guard.wait_failed_reload(1), "err");
    for place in ["web.yml:2: error:", "web.yml:4: error:", "web.yml:6: error:"] {
        assert!(err.contains(place), "{place} in {err}");
    }
}

#[test]
fn a_broken_certificate_keeps_the_old_one() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let client = TlsClient::new().trust(&tls.ca);
    let other = ServerTls::new();
    let pem = other.identity.chain_pem();
    for (count, content) in [pem.as_str(), &pem[..pem.len() / 2], "", "nonsense"].iter().enumerate()
    {
        guard.replace("server.crt", content);
        guard.wait_failed_reload(count + 1);
        assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200, "{content:?}");
    }
    fs::remove_file(guard.path("server.crt")).unwrap();
    guard.wait_failed_reload(5);
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
    // The key that goes with the first of them.
    guard.write("server.key", other.identity.key_pem());
    guard.write("server.crt", pem);
    guard.wait_generation(2);
    assert_eq!(TlsClient::new().trust(&other.ca).try_get(guard.port(), "").unwrap().status, 200);
}

/// Half of a reload would be a configuration that is in no file.
#[test]
fn a_configuration_is_never_half_applied() {
    let tls = ServerTls::new();
    let config = |password| format!("{TLS}{}", with_password(password));
    let guard = GuardBuilder::new().config(config("1")).tls(&tls).start();
    // The users are fine, the certificate is not.
    guard.replace("server.crt", "nonsense");
    guard.wait_failed_reload(1);
    guard.replace("web.yml", config("2"));
    guard.wait_failed_reload(2);
    let mut client = TlsClient::new().trust(&tls.ca).connect(guard.port());
    assert_eq!(client.get_as(("scraper", "1"), "/metrics").status, 200);
    assert_eq!(client.get_as(("scraper", "2"), "/metrics").status, 401);
    guard.replace("server.crt", tls.identity.chain_pem());
    guard.wait_generation(2);
    assert_eq!(client.get_as(("scraper", "2"), "/metrics").status, 200);
}

#[test]
fn a_file_that_cannot_be_read_keeps_the_last_good_configuration() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    fs::remove_file(guard.path("web.yml")).unwrap();
    fs::create_dir(guard.path("web.yml")).unwrap();
    guard.wait_failed_reload(1);
    assert_eq!(guard.login("scraper", "1"), 200);
    fs::remove_dir(guard.path("web.yml")).unwrap();
    guard.write("web.yml", with_password("2"));
    guard.wait_generation(2);
    assert_eq!(guard.login("scraper", "2"), 200);
}

/// The same broken content is not complained about again and again.
#[test]
fn a_broken_file_is_logged_once() {
    let guard = GuardBuilder::new().config(with_password("1")).start();
    guard.replace("web.yml", "nonsense");
    guard.wait_failed_reload(1);
    guard.replace("web.yml", "nonsense");
    guard.replace("web.yml", "other nonsense");
    guard.wait_failed_reload(2);
    guard.replace("web.yml", with_password("2"));
    guard.wait_generation(2);
    let complaints = guard.stderr().into_iter().filter(|line| guard::is_failed_reload(line));
    assert_eq!(complaints.count(), 2);
}
