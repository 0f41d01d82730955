//! The five client-auth types against every kind of certificate.

use openssl::ssl::SslVersion;

use crate::support::*;

/// What a client may come with.
struct Clients {
    ca: Authority,
    all: Vec<(&'static str, Option<Identity>)>,
}

impl Clients {
    fn new() -> Self {
        let ca = Authority::new("client CA");
        let other = Authority::new("client CA");
        let intermediate = ca.intermediate("intermediate");
        let leaf = Leaf::client();
        let all = vec![
            ("none", None),
            ("self-signed", Some(leaf.self_signed())),
            ("good", Some(ca.issue(&leaf))),
            ("good by an intermediate", Some(intermediate.issue(&leaf))),
            ("good RSA", Some(ca.issue(&leaf.clone().key(KeyKind::Rsa)))),
            ("good Ed25519", Some(ca.issue(&leaf.clone().key(KeyKind::Ed25519)))),
            ("of another CA of that name", Some(other.issue(&leaf))),
            ("for servers", Some(ca.issue(&Leaf { usage: Usage::Server, ..leaf.clone() }))),
            ("expired", Some(ca.issue(&leaf.clone().valid(-10, -1)))),
            ("not yet valid", Some(ca.issue(&leaf.valid(1, 10)))),
        ];
        Self { ca, all }
    }

    /// Which of them get an answer.
    fn accepted(&self, guard: &Guard, version: SslVersion) -> Vec<&'static str> {
        let works = |identity: &Option<Identity>| {
            let mut client = TlsClient::new().version(version);
            if let Some(identity) = identity {
                client = client.identity(identity);
            }
            client.try_get(guard.port(), "").is_ok_and(|response| response.status == 200)
        };
        self.all.iter().filter(|(_, identity)| works(identity)).map(|(name, _)| *name).collect()
    }
}

/// With these keys in the section of TLS.
fn guard(tls: &ServerTls, clients: &Clients, keys: &str) -> Guard {
    let builder = GuardBuilder::new().config(tls_with(keys)).tls(tls);
    builder.file("clients.crt", clients.ca.pem()).start()
}

/// Everybody but `missing`.
fn all_but(clients: &Clients, missing: &[&str]) -> Vec<&'static str> {
    clients.all.iter().map(|(name, _)| *name).filter(|name| !missing.contains(name)).collect()
}

fn check(keys: &str, expected: impl Fn(&Clients) -> Vec<&'static str>) {
    let (tls, clients) = (ServerTls::new(), Clients::new());
    let guard = guard(&tls, &clients, keys);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let accepted = clients.accepted(&guard, version);
        assert_eq!(accepted, expected(&clients), "{keys} with {version:?}");
    }
}

const GOOD: [&str; 4] = ["good", "good by an intermediate", "good RSA", "good Ed25519"];

#[test]
fn no_client_cert_asks_for_no_certificate() {
    check("", |clients| all_but(clients, &[]));
    check("client_auth_type: NoClientCert", |clients| all_but(clients, &[]));
}

#[test]
fn request_client_cert_takes_anything() {
    check("client_auth_type: RequestClientCert", |clients| all_but(clients, &[]));
}

#[test]
fn require_any_client_cert_takes_any_certificate() {
    check("client_auth_type: RequireAnyClientCert", |clients| all_but(clients, &["none"]));
}

#[test]
fn require_client_cert_is_the_older_name() {
    check("client_auth_type: RequireClientCert", |clients| all_but(clients, &["none"]));
}

const IF_GIVEN: &str = "
    client_auth_type: VerifyClientCertIfGiven
    client_ca_file: clients.crt
    ";

#[test]
fn verify_client_cert_if_given_takes_none_or_a_good_one() {
    check(IF_GIVEN, |_| [&["none"], &GOOD[..]].concat());
}

#[test]
fn require_and_verify_client_cert_takes_a_good_one() {
    check(VERIFIED_CLIENTS, |_| GOOD.to_vec());
}

/// No CA given: the system's roots, which signed none of these.
#[test]
fn without_a_ca_the_roots_of_the_system_are_trusted() {
    check("client_auth_type: RequireAndVerifyClientCert", |_| Vec::new());
    check("client_auth_type: VerifyClientCertIfGiven", |_| vec!["none"]);
}

#[test]
fn all_cas_of_one_file_are_trusted() {
    let (tls, clients) = (ServerTls::new(), Clients::new());
    let second = Authority::new("second client CA");
    let both = format!("{}# a comment\n{}", clients.ca.pem(), second.pem());
    let builder = GuardBuilder::new().config([TLS, VERIFIED_CLIENTS].concat()).tls(&tls);
    let guard = builder.file("clients.crt", both).start();
    for ca in [&clients.ca, &second] {
        let client = TlsClient::new().identity(&ca.issue(&Leaf::client()));
        assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
    }
}

/// The server says which CAs it takes, so that a client with several certificates can choose.
#[test]
fn the_handshake_names_the_trusted_cas() {
    let (tls, clients) = (ServerTls::new(), Clients::new());
    let guard = guard(&tls, &clients, IF_GIVEN);
    let shown = process::command("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", guard.port())])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Acceptable client certificate CA names"), "{shown}");
    assert!(shown.contains("client CA"), "{shown}");
}

#[test]
fn a_ca_without_a_policy_is_an_error() {
    let tls = ServerTls::new();
    let ca = Authority::new("client CA");
    for policy in ["", "client_auth_type: NoClientCert"] {
        let config = tls_with("client_ca_file: clients.crt") + &indented(2, policy);
        let builder = GuardBuilder::new().config(config).tls(&tls).file("clients.crt", ca.pem());
        let failed = builder.fail_to_start().expect_code(1);
        let message = "client CA's have been configured without a Client Auth Policy";
        assert!(failed.stderr.contains(message), "{failed}");
    }
}

#[test]
fn http2_and_basic_auth_come_on_top_of_a_client_certificate() {
    let (tls, clients) = (ServerTls::new(), Clients::new());
    let config = [TLS, VERIFIED_CLIENTS, &scraper()].concat();
    let builder = GuardBuilder::new().config(config).tls(&tls);
    let guard = builder.file("clients.crt", clients.ca.pem()).start();
    let client = TlsClient::new().identity(&clients.ca.issue(&Leaf::client()));
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 401);
    let connected = client.alpn(tls::H2_AND_HTTP1).connect(guard.port());
    assert!(Http2::begin(connected).get_as(SCRAPER, "/metrics").ok);
}

#[test]
fn a_refused_certificate_is_logged_with_its_reason() {
    let (tls, clients) = (ServerTls::new(), Clients::new());
    let guard = guard(&tls, &clients, VERIFIED_CLIENTS);
    assert!(TlsClient::new().try_get(guard.port(), "").is_err());
    let line = guard.wait_log("a failed handshake", |line| {
        logfmt::field(line, "level") == "WARN" && line.contains("andshake")
    });
    assert!(logfmt::field(&line, "remote").starts_with("127.0.0.1:"), "{line}");
    assert!(!logfmt::field(&line, "reason").is_empty(), "{line}");
}
