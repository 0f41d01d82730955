use std::path::Path;

use exporter_guard::auth::Users;
use exporter_guard::config::{self, Config, Finding, Severity};
use exporter_guard::snapshot::load::{self, LoadError, Loaded};

/// Checks a web configuration file: it is either accepted or rejected, with a reason, and an
/// accepted configuration has the properties that the rest of the program relies on.
pub fn web_config(text: &[u8]) {
    // A directory that does not exist, so that the text can name no file in it.
    let path = Path::new("/nonexistent/web.yml");
    let is_break = |c| matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let lines = String::from_utf8_lossy(text).replace("\r\n", "\n").matches(is_break).count() + 1;
    match load::complete(config::parse(path, text.to_vec())) {
        Ok(Loaded { config, materials, warnings, .. }) => {
            assert_eq!(errors(&warnings), 0, "{warnings:?}");
            let pairs = materials.zip(&config.tls);
            assert!(pairs.iter().all(|(identity, tls)| identity.is_some() == tls.is_some()));
            check_lines(&warnings, lines);
            check(&config);
        }
        Err(LoadError { findings, .. }) => {
            assert_ne!(errors(&findings), 0, "rejected without a reason");
            check_lines(&findings, lines);
        }
    }
}

fn errors(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| finding.severity == Severity::Error).count()
}

fn check_lines(findings: &[Finding], lines: usize) {
    for finding in findings {
        assert!(!finding.message.is_empty());
        assert!(finding.line.is_none_or(|line| (1..=lines).contains(&line)), "{finding}");
    }
}

fn check(config: &Config) {
    for user in &config.users {
        let hash = user.hash.as_str();
        assert!(hash.starts_with("$2") && hash.len() >= 59, "{}", user.name);
        assert!((4..=31).contains(&user.hash.cost()), "{}", user.name);
    }
    assert_eq!(Users::new(&config.users, None).len(), config.users.len(), "a user came twice");
    assert!(config.users.is_empty() || !config.declared.users_explicitly_none);
    assert!(config.tls.all.is_none() || !config.declared.tls_explicitly_off);

    for (name, value) in &config.http.headers {
        assert!(!value.contains(|c: char| c.is_control()), "{name}");
    }
    assert!(config.rate_limit.as_ref().is_none_or(|limit| !limit.interval.is_zero()));
    let limits = &config.proxy.limits;
    for timeout in [
        Some(limits.connect_timeout),
        limits.response_timeout,
        Some(limits.handshake_timeout),
        Some(limits.header_timeout),
        Some(limits.body_timeout),
        Some(limits.write_timeout),
        Some(limits.idle_timeout),
    ] {
        assert!(timeout.is_none_or(|timeout| !timeout.is_zero()));
    }
    assert!((1024..=256 * 1024).contains(&limits.max_header_bytes));
    assert!(limits.max_connections > 0 && limits.max_connections_per_address > 0);
    assert!(limits.max_streams_per_address > 0 && limits.max_auth_failures > 0);
    assert!(config.proxy.proxy_protocol.iter().all(|rule| !rule.listen_address.is_empty()));
}
