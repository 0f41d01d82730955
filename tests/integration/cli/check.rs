//! `check`: what a start would say, and more.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use crate::support::guard::{hash, run};
use crate::support::process::Finished;
use crate::support::*;

struct Site {
    dir: TempDir,
    tls: ServerTls,
}

impl Site {
    fn new() -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap(), tls: ServerTls::new() };
        site.install(&site.tls.identity);
        site
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        guard::write(&self.dir.path().join(name), content);
    }

    fn install(&self, identity: &Identity) {
        guard::write_pair(self.dir.path(), "server", identity);
    }

    fn check(&self, config: &str, args: &[&str]) -> Finished {
        self.write("web.yml", config);
        run(self.dir.path(), &[&["check"], args, &["web.yml"]].concat())
    }

    /// A warning with these words at this line, which only `--strict` takes for an error.
    #[track_caller]
    fn assert_warns(&self, config: &str, line: usize, words: &[&str]) {
        let lenient = self.check(config, &[]).expect_code(0);
        let place = format!("web.yml:{line}: warning: ");
        let found = lenient
            .stdout
            .lines()
            .any(|line| line.starts_with(&place) && words.iter().all(|word| line.contains(word)));
        assert!(found, "{place}{words:?} in {lenient}");
        self.check(config, &["--strict"]).expect_code(1);
    }
}

/// With a cost that `check` does not warn of.
fn sound_users() -> String {
    users(&[("scraper", &hash("open sesame", 10))])
}

#[test]
fn a_good_file_has_no_findings() {
    let site = Site::new();
    for args in [&[][..], &["--strict"]] {
        let finished = site.check(&format!("{TLS}{}", sound_users()), args).expect_code(0);
        assert!(
            !finished.stdout.contains("warning") && !finished.stdout.contains("error"),
            "{finished}"
        );
    }
}

#[test]
fn errors_are_one_line_each_with_file_and_line() {
    let site = Site::new();
    let config = yaml(
        "
        tls_server_config:
          cert_file: server.crt
          key_file: server.key
          min_version: TLS14
          max_version: TLS9
          client_auth_type: require
          cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256, ECDHE-RSA-AES128-GCM-SHA256]
          curve_preferences: [P-256]
          no_such_key: 1
        http_server_config:
          http2: perhaps
          headers:
            Server: x
        basic_auth_users:
          a: plain
          b: $2y$10$short
        rate_limit:
          interval: soon
          burst: many
        proxy:
          limits:
            idle_timeout: 0
        no_such_section:
        ",
    );
    let finished = site.check(&config, &[]).expect_code(1);
    for line in [4, 5, 6, 7, 8, 9, 11, 13, 15, 16, 18, 19, 22, 23] {
        let place = format!("web.yml:{line}: error: ");
        assert!(finished.stdout.lines().any(|l| l.starts_with(&place)), "{place} in {finished}");
    }
    for line in finished.stdout.lines() {
        assert!(line.starts_with("web.yml:"), "{line:?} in {finished}");
    }
}

#[test]
fn several_files_are_all_checked() {
    let site = Site::new();
    site.write("good.yml", sound_users());
    site.write("bad.yml", "nonsense: 1\n");
    site.write("worse.yml", "basic_auth_users: [");
    let finished =
        run(site.dir.path(), &["check", "bad.yml", "good.yml", "worse.yml", "absent.yml"]);
    assert_eq!(finished.code, Some(1), "{finished}");
    for name in ["bad.yml:1: error:", "worse.yml:", "absent.yml:"] {
        assert!(finished.stdout.contains(name), "{name} in {finished}");
    }
    run(site.dir.path(), &["check", "good.yml"]).expect_code(0);
}

#[test]
fn certificates_that_clients_refuse_are_warned_of() {
    let site = Site::new();
    let ca = &site.tls.ca;
    for (leaf, words) in [
        (Leaf::server().valid(-20, -10), "expired"),
        (Leaf::server().valid(-20, 2), "expires"),
        (Leaf::server().valid(5, 90), "not valid before"),
        (Leaf::server().sans(&[]), "subject alternative name"),
    ] {
        site.install(&ca.issue(&leaf));
        site.assert_warns(&format!("{TLS}{}", sound_users()), 2, &["cert_file", words]);
    }
}

#[test]
fn a_key_that_others_can_read_is_warned_of() {
    let site = Site::new();
    let key = site.dir.path().join("server.key");
    for mode in [0o644, 0o640, 0o604] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let config = format!("{TLS}{}", sound_users());
        // A group may be there for just that.
        if mode & 0o004 != 0 {
            site.write("web.yml", &config);
            let finished = run(site.dir.path(), &["check", "web.yml"]).expect_code(0);
            assert!(finished.stdout.contains("web.yml:3: warning: "), "{mode:o}: {finished}");
        }
    }
}

#[test]
fn hashes_of_too_low_or_too_high_a_cost_are_warned_of() {
    let site = Site::new();
    let digits = &quick_hash("x")[7..];
    for cost in [4, 16, 31] {
        let user = users(&[("a", &hash("x", 10)), ("b", &format!("$2y${cost:02}${digits}"))]);
        site.assert_warns(&format!("{TLS}{user}"), 6, &["cost", &cost.to_string()]);
    }
}

#[test]
fn settings_that_cannot_work_are_warned_of() {
    let site = Site::new();
    let users = sound_users();
    site.assert_warns(
        &(tls_with(
            "
            min_version: TLS13
            max_version: TLS12
            ",
        ) + &users),
        4,
        &["min_version"],
    );
    site.assert_warns(
        &(TLS.to_owned()
            + &users
            + &yaml(
                "
                rate_limit:
                  interval: 1s
                  burst: 0
                ",
            )),
        7,
        &["burst"],
    );
}

#[test]
fn a_client_ca_without_certificates_is_found() {
    let site = Site::new();
    for content in ["", "no certificate\n", &site.tls.identity.key_pem()] {
        site.write("clients.crt", content);
        let finished =
            site.check(&format!("{TLS}{VERIFIED_CLIENTS}{}", sound_users()), &["--strict"]);
        assert_eq!(finished.code, Some(1), "{content:?}: {finished}");
        assert!(finished.stdout.contains("web.yml:5: "), "{content:?}: {finished}");
    }
}

#[test]
fn users_without_tls_are_warned_of() {
    let site = Site::new();
    let finished = site.check(&sound_users(), &[]).expect_code(0);
    assert!(finished.stdout.contains("warning: basic_auth_users: without TLS"), "{finished}");
    site.check(&sound_users(), &["--strict"]).expect_code(1);
}

/// A secret in the wrong place of a file must not come into the output, which CI systems keep.
#[test]
fn findings_hold_no_secrets() {
    let site = Site::new();
    let config = yaml(
        "
        basic_auth_users:
          scraper: hunter2-canary
          other: $2y$04$canary-canary
        tls_server_config:
          key: canary-key
          cert: canary-cert
        ",
    );
    let finished = site.check(&config, &[]).expect_code(1);
    for canary in ["hunter2", "canary-canary", "canary-key"] {
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(!said.contains(canary), "{canary} in {finished}");
    }
}

/// A key or a hash that got into the wrong place is in no message.
#[test]
fn misplaced_secrets_are_not_shown() {
    let key = ServerTls::new().identity.key_pem();
    let body = key.lines().nth(1).expect("base64").to_owned();
    // As a block scalar.
    let key_for = |name: &str| format!("  {name}: |\n") + &indented(4, &key);
    let tls = |keys: &str| "tls_server_config:\n".to_owned() + keys;
    let hash = guard::quick_hash("password");
    let tail = hash[10..].to_owned();
    for (config, secret) in [
        (tls(&("  cert_file: a\n".to_owned() + &key_for("key_file"))), &body),
        (tls(&key_for("client_auth_type")), &body),
        (tls(&key_for("min_version")), &body),
        (format!("basic_auth_users: {{scraper:{hash}}}\n"), &tail),
        (
            yaml(&format!(
                "
                basic_auth_users:
                  {hash}: scraper
                "
            )),
            &tail,
        ),
        (format!("scraper:{hash}: scraper\n"), &tail),
        (format!("{hash}: a\n").repeat(2), &tail),
    ] {
        let guard = GuardBuilder::new().config(&config);
        let checked = guard::run(guard.dir(), &["check", "web.yml"]).expect_code(1);
        assert!(!checked.stdout.contains(secret.as_str()), "{checked}");
        assert!(!checked.stderr.contains(secret.as_str()), "{checked}");
        let started = guard.fail_to_start().expect_code(1);
        assert!(!started.stderr.contains(secret.as_str()), "{started}");
    }
}
