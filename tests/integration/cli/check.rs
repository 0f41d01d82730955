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
        self.write("server.crt", identity.chain_pem());
        self.write("server.key", identity.key_pem());
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

/// A cost that nobody warns of.
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
    let config = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n  \
                  min_version: TLS14\n  max_version: TLS9\n  client_auth_type: require\n  \
                  cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256, ECDHE-RSA-AES128-GCM-SHA256]\n  \
                  curve_preferences: [P-256]\n  no_such_key: 1\n\
                  http_server_config:\n  http2: perhaps\n  headers:\n    Server: x\n\
                  basic_auth_users:\n  a: plain\n  b: $2y$10$short\n\
                  rate_limit:\n  interval: soon\n  burst: many\n\
                  proxy:\n  limits:\n    idle_timeout: 0\n\
                  no_such_section:\n";
    let finished = site.check(config, &[]).expect_code(1);
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
fn warns_of_certificates_that_are_no_good() {
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
fn warns_of_a_key_that_others_can_read() {
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
fn warns_of_hashes_that_are_too_cheap_or_too_dear() {
    let site = Site::new();
    let digits = &quick_hash("x")[7..];
    for cost in [4, 16, 31] {
        let user = users(&[("a", &hash("x", 10)), ("b", &format!("$2y${cost:02}${digits}"))]);
        site.assert_warns(&format!("{TLS}{user}"), 6, &["cost", &cost.to_string()]);
    }
}

#[test]
fn warns_of_settings_that_cannot_work() {
    let site = Site::new();
    let users = sound_users();
    site.assert_warns(
        &format!("{TLS}  min_version: TLS13\n  max_version: TLS12\n{users}"),
        4,
        &["min_version"],
    );
    site.assert_warns(
        &format!("{TLS}{users}rate_limit:\n  interval: 1s\n  burst: 0\n"),
        7,
        &["burst"],
    );
}

#[test]
fn a_client_ca_without_certificates_is_found() {
    let site = Site::new();
    let lines = "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: clients.crt\n";
    for content in ["", "no certificate\n", &site.tls.identity.key_pem()] {
        site.write("clients.crt", content);
        let finished = site.check(&format!("{TLS}{lines}{}", sound_users()), &["--strict"]);
        assert_eq!(finished.code, Some(1), "{content:?}: {finished}");
        assert!(finished.stdout.contains("web.yml:5: "), "{content:?}: {finished}");
    }
}

#[test]
fn warns_of_passwords_in_clear() {
    let site = Site::new();
    let finished = site.check(&sound_users(), &[]).expect_code(0);
    assert!(finished.stdout.contains("warning: basic_auth_users: without TLS"), "{finished}");
    site.check(&sound_users(), &["--strict"]).expect_code(1);
}

/// A file with a secret in the wrong place must not show it to whoever reads the CI's output.
#[test]
fn findings_hold_no_secrets() {
    let site = Site::new();
    let config = "basic_auth_users:\n  scraper: hunter2-canary\n  other: $2y$04$canary-canary\n\
                  tls_server_config:\n  key: canary-key\n  cert: canary-cert\n";
    let finished = site.check(config, &[]).expect_code(1);
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
    let indented = key.replace('\n', "\n    ");
    let hash = guard::quick_hash("password");
    let tail = hash[10..].to_owned();
    for (config, secret) in [
        (format!("tls_server_config:\n  cert_file: a\n  key_file: |\n    {indented}\n"), &body),
        (format!("tls_server_config:\n  client_auth_type: |\n    {indented}\n"), &body),
        (format!("tls_server_config:\n  min_version: |\n    {indented}\n"), &body),
        (format!("basic_auth_users: {{scraper:{hash}}}\n"), &tail),
        (format!("basic_auth_users:\n  {hash}: scraper\n"), &tail),
        (format!("scraper:{hash}: scraper\n"), &tail),
        (format!("{hash}: a\n{hash}: b\n"), &tail),
    ] {
        let guard = GuardBuilder::new().config(&config);
        let checked = guard::run(guard.dir(), &["check", "web.yml"]).expect_code(1);
        assert!(!checked.stdout.contains(secret.as_str()), "{checked}");
        assert!(!checked.stderr.contains(secret.as_str()), "{checked}");
        let started = guard.fail_to_start().expect_code(1);
        assert!(!started.stderr.contains(secret.as_str()), "{started}");
    }
}
