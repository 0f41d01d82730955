//! A reload that would drop authentication or TLS altogether is refused, unless the file says so
//! with an explicit empty section.

use crate::support::*;

/// The end of the configuration in force is the start of these tests: with TLS and a user.
fn guard(config: &str) -> (Guard, ServerTls) {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    (guard, tls)
}

fn status(guard: &Guard) -> Option<u16> {
    TlsClient::new().try_get(guard.port(), "").ok().map(|response| response.status)
}

#[test]
fn dropping_the_users_is_refused() {
    let (guard, _tls) = guard(&guarded());
    for (count, config) in
        [TLS.to_owned(), format!("{TLS}basic_auth_users:\n"), format!("{TLS}basic_auth_users: ~\n")]
            .iter()
            .enumerate()
    {
        guard.replace("web.yml", config);
        let line = guard.wait_failed_reload(count + 1);
        assert!(logfmt::field(&line, "err").contains("basic_auth_users: {}"), "{line}");
        assert_eq!(status(&guard), Some(401), "{config}");
    }
    guard.replace("web.yml", format!("{TLS}basic_auth_users: {{}}\n"));
    guard.wait_generation(2);
    assert_eq!(status(&guard), Some(200), "when the file says so");
}

#[test]
fn dropping_tls_is_refused() {
    let (guard, _tls) = guard(&guarded());
    for (count, config) in [
        scraper(),
        "tls_server_config:\n".to_owned() + &scraper(),
        "tls_server_config: {min_version: TLS13}\n".to_owned() + &scraper(),
    ]
    .iter()
    .enumerate()
    {
        guard.replace("web.yml", config);
        let line = guard.wait_failed_reload(count + 1);
        assert!(logfmt::field(&line, "err").contains("tls_server_config: {}"), "{line}");
        assert_eq!(status(&guard), Some(401), "{config}");
        assert_eq!(guard.connect().get("/metrics").status, 400, "still TLS");
    }
    guard.replace("web.yml", "tls_server_config: {}\n".to_owned() + &scraper());
    guard.wait_generation(2);
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200, "when the file says so");
}

#[test]
fn an_empty_file_is_refused() {
    let (guard, _tls) = guard(&guarded());
    for (count, config) in ["", "\n", "# nothing\n", "---\n", "{}\n"].iter().enumerate() {
        guard.write("web.yml", config);
        guard.wait_failed_reload(count + 1);
        assert_eq!(status(&guard), Some(401), "{config:?}");
    }
}

#[test]
fn dropping_users_and_tls_needs_both_empty_sections() {
    let (guard, _tls) = guard(&guarded());
    guard.replace("web.yml", "basic_auth_users: {}\n");
    guard.wait_failed_reload(1);
    assert_eq!(status(&guard), Some(401));
    guard.replace("web.yml", "tls_server_config: {}\n");
    guard.wait_failed_reload(2);
    assert_eq!(status(&guard), Some(401));
    guard.replace(
        "web.yml",
        yaml(
            "
            tls_server_config: {}
            basic_auth_users: {}
            ",
        ),
    );
    guard.wait_generation(2);
    assert_eq!(guard.connect().get("/metrics").status, 200);
}

/// Client certificates are authentication as well: without them and without users there is no
/// authentication.
#[test]
fn dropping_client_certificates_is_refused() {
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let builder = GuardBuilder::new().config([TLS, VERIFIED_CLIENTS].concat()).tls(&tls);
    let guard = builder.file("clients.crt", ca.pem()).start();
    assert_eq!(status(&guard), None);
    guard.replace("web.yml", TLS);
    guard.wait_failed_reload(1);
    assert_eq!(status(&guard), None);
    // Users instead of certificates are authentication, too.
    guard.replace("web.yml", guarded());
    guard.wait_generation(2);
    assert_eq!(status(&guard), Some(401));
}

/// `VerifyClientCertIfGiven` admits clients without a certificate: it does not replace users.
#[test]
fn an_optional_client_certificate_is_no_authentication() {
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let builder = GuardBuilder::new().guarded(&tls);
    let guard = builder.file("clients.crt", ca.pem()).start();
    let optional = tls_with(
        "
        client_auth_type: VerifyClientCertIfGiven
        client_ca_file: clients.crt
        ",
    );
    guard.replace("web.yml", optional);
    guard.wait_failed_reload(1);
    assert_eq!(status(&guard), Some(401));
}

/// A guard with TLS, these lines in its TLS section, client CA and all, and then this.
fn with_certificates(lines: &str, rest: &str) -> (Guard, ServerTls) {
    let tls = ServerTls::new();
    let config = format!("{TLS}{lines}{rest}");
    let builder = GuardBuilder::new().config(config).tls(&tls);
    let guard = builder.file("clients.crt", Authority::new("clients").pem()).start();
    (guard, tls)
}

const ANY: &str = "  client_auth_type: RequireAnyClientCert\n";

/// An empty section that turns one protection off does not turn off another.
#[test]
fn dropping_a_protection_needs_its_own_empty_section() {
    let users = scraper();
    let sans = "  client_allowed_sans: [a.example]\n";
    let cases = [
        // Cut within the TLS section; what came before says that there are no users.
        (
            format!("{VERIFIED_CLIENTS}basic_auth_users: {{}}\n"),
            "basic_auth_users: {}\n".to_owned(),
        ),
        (format!("{ANY}{users}"), ANY.to_owned()),
        (format!("{VERIFIED_CLIENTS}{users}"), VERIFIED_CLIENTS.to_owned()),
        (format!("{VERIFIED_CLIENTS}{users}"), users.clone()),
        (VERIFIED_CLIENTS.to_owned(), String::new()),
        (format!("{VERIFIED_CLIENTS}{sans}"), VERIFIED_CLIENTS.to_owned()),
    ];
    for (before, cut) in cases {
        let (guard, _tls) = with_certificates("", &before);
        guard.replace("web.yml", format!("{TLS}{cut}"));
        let line = guard.wait_failed_reload(1);
        assert!(logfmt::field(&line, "err").contains("to mean it"), "{before} to {cut}: {line}");
        assert_ne!(status(&guard), Some(200), "{before} to {cut}");
    }
}

#[test]
fn a_weaker_policy_that_is_written_out_takes_effect() {
    let sans = "  client_allowed_sans: [a.example]\n";
    for (before, after) in [
        (VERIFIED_CLIENTS.to_owned(), "  client_auth_type: NoClientCert\n".to_owned()),
        (VERIFIED_CLIENTS.to_owned(), ANY.to_owned()),
        (
            format!("{VERIFIED_CLIENTS}{sans}"),
            format!("{VERIFIED_CLIENTS}  client_allowed_sans: []\n"),
        ),
        // Replaced, not lost.
        (VERIFIED_CLIENTS.to_owned(), scraper()),
        (scraper(), VERIFIED_CLIENTS.to_owned()),
    ] {
        let (guard, _tls) = with_certificates("", &before);
        guard.replace("web.yml", format!("{TLS}{after}"));
        guard.wait_generation(2);
    }
}
