//! The scanners that auditors run: sslscan and testssl.sh, against both kinds of certificates.

use serde_json::Value;

use crate::support::process::Finished;
use crate::support::*;

/// Findings about trust in the certificate, which is up to the operator, and not of TLS.
const TRUST: [(&str, &str); 2] = [
    ("cert_chain_of_trust", "no client trusts the test's CA"),
    ("cert_revocation", "nor does it publish what it revoked"),
];

fn guards() -> [(Guard, ServerTls); 2] {
    [ServerTls::new(), ServerTls::with_key(KeyKind::Rsa)].map(|tls| {
        let config = guarded();
        (GuardBuilder::new().config(config).tls(&tls).start(), tls)
    })
}

#[test]
#[ignore = "takes minutes"]
fn testssl_finds_nothing_of_medium_severity() {
    for (guard, _tls) in guards() {
        let port = guard.port();
        let mut scanner = process::command("testssl");
        scanner.args(["--warnings", "off", "--quiet", "--color", "0", "--ip", "127.0.0.1"]);
        scanner.args(["--nodns", "none", "--jsonfile", "found.json", &format!("localhost:{port}")]);
        // The exit code counts what could not be tried.
        let scanned = Finished::run(&mut scanner, guard.dir(), b"");
        let text = std::fs::read_to_string(guard.path("found.json")).expect("a report");
        let found: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        assert!(found.len() > 100, "{scanned}");
        let grave: Vec<&Value> = found
            .iter()
            .filter(|one| {
                ["MEDIUM", "HIGH", "CRITICAL"].contains(&one["severity"].as_str().unwrap())
            })
            .filter(|one| !TRUST.iter().any(|(id, _)| one["id"].as_str() == Some(id)))
            .collect();
        assert!(grave.is_empty(), "{grave:#?}");
        let said = |id: &str| {
            let one = found.iter().find(|one| one["id"].as_str() == Some(id));
            one.unwrap_or_else(|| panic!("no {id}"))["severity"].as_str().unwrap().to_owned()
        };
        for id in ["heartbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "BREACH", "SWEET32"]
        {
            assert_eq!(said(id), "OK", "{id}");
        }
    }
}

#[test]
#[ignore = "asks for sslscan, which only the longer tests need"]
fn sslscan_finds_modern_tls_only() {
    for (guard, _tls) in guards() {
        let mut scanner = process::command("sslscan");
        scanner.args(["--xml=-", &format!("127.0.0.1:{}", guard.port())]);
        let report = Finished::run(&mut scanner, guard.dir(), b"").expect_code(0).stdout;
        for (version, enabled) in
            [("2", 0), ("3", 0), ("1.0", 0), ("1.1", 0), ("1.2", 1), ("1.3", 1)]
        {
            let kind = if ["2", "3"].contains(&version) { "ssl" } else { "tls" };
            let line =
                format!(r#"<protocol type="{kind}" version="{version}" enabled="{enabled}" />"#);
            assert!(report.contains(&line), "{line} in {report}");
        }
        assert!(report.contains(r#"<renegotiation supported="0" secure="0" />"#), "{report}");
        assert!(!report.contains(r#"vulnerable="1""#), "{report}");
        let strengths: Vec<&str> =
            report.lines().filter(|line| line.contains("<cipher ")).collect();
        let weak =
            |line: &&&str| !line.contains(r#"strength="strong""#) && !line.contains("acceptable");
        assert!(!strengths.is_empty());
        assert_eq!(strengths.iter().filter(weak).collect::<Vec<_>>(), Vec::<&&str>::new());
    }
}
