//! A client certificate that ends, or that the configuration does not admit any more, ends with it
//! what it has opened: sessions are not resumed, and open connections answer 421 and close.

use std::time::{Duration, SystemTime};

use openssl::ssl::SslVersion;

use crate::support::http2::Http2;
use crate::support::tls::H2_AND_HTTP1;
use crate::support::*;

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// How long the certificates of these tests are valid: enough for a handshake and a request.
const LIFETIME: i64 = 4;

fn policy(client_auth_type: &str) -> String {
    format!("{TLS}  client_auth_type: {client_auth_type}\n  client_ca_file: clients.crt\n")
}

fn guard(config: &str, clients: &Authority) -> Guard {
    let tls = ServerTls::new();
    GuardBuilder::new()
        .config(config)
        .tls(&tls)
        .file("clients.crt", clients.pem())
        .telemetry()
        .start()
}

/// Waits until a certificate that was issued at `issued` has ended.
fn wait_for_the_end(issued: SystemTime) {
    let end = issued + Duration::from_secs(LIFETIME as u64 + 1);
    eventually("the certificate has ended", || SystemTime::now() > end);
}

#[test]
fn a_session_is_not_resumed_past_the_end_of_its_certificate() {
    let clients = Authority::new("clients");
    let guard = guard(&policy("RequireAndVerifyClientCert"), &clients);
    for version in VERSIONS {
        let issued = SystemTime::now();
        let identity = clients.issue(&Leaf::client().ends_in(LIFETIME));
        let client = TlsClient::new().version(version).identity(&identity);
        assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
        let session = client.last_session().expect("a session");
        // The session alone gets in, and in TLS 1.3 brings another one.
        let resuming = TlsClient::new().version(version).resume(session.clone());
        let mut resumed = resuming.connect(guard.port());
        assert_eq!(resumed.get("/metrics").status, 200, "{version:?}");
        assert!(resumed.ssl().session_reused(), "{version:?}");
        let next = resuming.last_session().unwrap_or(session.clone());
        wait_for_the_end(issued);
        for session in [session, next] {
            for client in [client.clone(), TlsClient::new().version(version)] {
                let answer = client.resume(session.clone()).try_get(guard.port(), "");
                assert!(answer.is_err(), "{version:?}: {answer:?}");
            }
        }
    }
}

#[test]
fn a_session_is_not_resumed_past_the_end_of_an_intermediate() {
    let clients = Authority::new("clients");
    let guard = guard(&policy("RequireAndVerifyClientCert"), &clients);
    let issued = SystemTime::now();
    let identity = clients.intermediate_that_ends_in("short", LIFETIME).issue(&Leaf::client());
    let sessions = VERSIONS.map(|version| {
        let client = TlsClient::new().version(version).identity(&identity);
        assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
        (version, client.last_session().expect("a session"))
    });
    wait_for_the_end(issued);
    for (version, session) in sessions {
        let answer = TlsClient::new().version(version).resume(session).try_get(guard.port(), "");
        assert!(answer.is_err(), "{version:?}: {answer:?}");
    }
}

#[test]
fn an_open_connection_ends_with_its_certificate() {
    let clients = Authority::new("clients");
    for mode in ["RequireAndVerifyClientCert", "VerifyClientCertIfGiven", "RequireAnyClientCert"] {
        let config = match mode {
            "RequireAnyClientCert" => format!("{TLS}  client_auth_type: {mode}\n"),
            _ => policy(mode),
        };
        let guard = guard(&config, &clients);
        let issued = SystemTime::now();
        let identity = clients.issue(&Leaf::client().ends_in(LIFETIME));
        let client = TlsClient::new().identity(&identity);
        let mut http1 = client.connect(guard.port());
        assert_eq!(http1.get("/metrics").status, 200, "{mode}");
        let mut http2 = Http2::begin(client.alpn(H2_AND_HTTP1).connect(guard.port()));
        assert!(http2.get("/metrics", &[]).ok, "{mode}");
        wait_for_the_end(issued);
        assert_eq!(http1.get("/metrics").status, 421, "{mode}");
        http1.wait_close();
        assert!(!http2.get("/metrics", &[]).ok, "{mode}");
        http2.into_client().wait_close();
    }
}

#[test]
fn a_certificate_that_had_ended_before_is_taken_as_the_exporter_toolkit_takes_it() {
    let clients = Authority::new("clients");
    let guard = guard(&format!("{TLS}  client_auth_type: RequireAnyClientCert\n"), &clients);
    let identity = clients.issue(&Leaf::client().valid(-10, -1));
    let mut client = TlsClient::new().identity(&identity).connect(guard.port());
    for _ in 0..2 {
        assert_eq!(client.get("/metrics").status, 200);
    }
}

#[test]
fn an_open_connection_ends_when_its_ca_is_withdrawn() {
    let clients = Authority::new("clients");
    let guard = guard(&policy("RequireAndVerifyClientCert"), &clients);
    let client = TlsClient::new().identity(&clients.issue(&Leaf::client()));
    let by_intermediate = clients.intermediate("intermediate").issue(&Leaf::client());
    let mut open = [
        client.connect(guard.port()),
        TlsClient::new().identity(&by_intermediate).connect(guard.port()),
    ];
    assert!(open.iter_mut().all(|client| client.get("/metrics").status == 200));
    let other = Authority::new("other");
    // Both CAs count: the connections go on.
    guard.replace("clients.crt", format!("{}{}", clients.pem(), other.pem()));
    guard.wait_generation(2);
    assert!(open.iter_mut().all(|client| client.get("/metrics").status == 200));
    guard.replace("clients.crt", other.pem());
    guard.wait_generation(3);
    for mut client in open {
        assert_eq!(client.get("/metrics").status, 421);
        client.wait_close();
    }
}

#[test]
fn an_open_connection_ends_when_its_name_is_not_allowed_any_more() {
    let clients = Authority::new("clients");
    let allowing = |names: &str| {
        format!("{}  client_allowed_sans: [{names}]\n", policy("RequireAndVerifyClientCert"))
    };
    let guard = guard(&allowing("a.example, b.example"), &clients);
    let named = |name| {
        let identity = clients.issue(&Leaf::client().sans(&[San::Dns(name)]));
        TlsClient::new().identity(&identity).connect(guard.port())
    };
    let (mut a, mut b) = (named("a.example"), named("b.example"));
    assert_eq!([a.get("/metrics").status, b.get("/metrics").status], [200, 200]);
    guard.replace("web.yml", allowing("b.example"));
    guard.wait_generation(2);
    assert_eq!(b.get("/metrics").status, 200);
    assert_eq!(a.get("/metrics").status, 421);
    a.wait_close();
}
