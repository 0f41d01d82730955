//! `client_allowed_sans`: the certificate must hold one of these names, exactly.

use openssl::ssl::SslVersion;

use crate::support::*;

struct Site {
    tls: ServerTls,
    clients: Authority,
}

impl Site {
    fn new() -> Self {
        Self { tls: ServerTls::new(), clients: Authority::new("client CA") }
    }

    fn guard(&self, policy: &str, allowed: &str) -> Guard {
        let ca = match policy {
            "RequestClientCert" | "RequireAnyClientCert" => "",
            _ => "client_ca_file: clients.crt",
        };
        let config = tls_with(&format!(
            "
            client_auth_type: {policy}
            client_allowed_sans: {allowed}
            {ca}
            "
        ));
        let builder = GuardBuilder::new().config(config).tls(&self.tls);
        builder.file("clients.crt", self.clients.pem()).start()
    }

    fn client(&self, sans: &[San]) -> Identity {
        self.clients.issue(&Leaf::client().sans(sans))
    }
}

#[track_caller]
fn assert_gets_in(guard: &Guard, identity: &Identity, expected: bool, what: &str) {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let result = TlsClient::new().identity(identity).version(version).try_get(guard.port(), "");
        assert_eq!(result.is_ok_and(|r| r.status == 200), expected, "{what}, {version:?}");
    }
}

#[test]
fn each_kind_of_name_is_matched() {
    let site = Site::new();
    let guard = site.guard(
        "RequireAndVerifyClientCert",
        "[prometheus.example, ops@example.com, 192.0.2.7, '2001:db8::7', 'spiffe://example/prometheus']",
    );
    for (san, expected) in [
        (San::Dns("prometheus.example"), true),
        (San::Email("ops@example.com"), true),
        (San::Ip([192, 0, 2, 7].into()), true),
        (San::Ip("2001:db8::7".parse().unwrap()), true),
        (San::Uri("spiffe://example/prometheus"), true),
        (San::Dns("other.example"), false),
        (San::Dns("a.prometheus.example"), false),
        (San::Dns("*.example"), false),
        (San::Dns("prometheus.example.evil"), false),
        (San::Email("root@example.com"), false),
        (San::Ip([192, 0, 2, 8].into()), false),
        (San::Ip("2001:db8::8".parse().unwrap()), false),
        (San::Uri("spiffe://example/prometheus/x"), false),
        (San::Uri("spiffe://example/"), false),
    ] {
        assert_gets_in(
            &guard,
            &site.client(std::slice::from_ref(&san)),
            expected,
            &format!("{san:?}"),
        );
    }
    let several = [San::Dns("other.example"), San::Email("ops@example.com")];
    assert_gets_in(&guard, &site.client(&several), true, "one of several");
    assert_gets_in(&guard, &site.client(&[]), false, "no name at all");
}

/// A common name is no subject alternative name.
#[test]
fn the_common_name_does_not_count() {
    let site = Site::new();
    let guard = site.guard("RequireAndVerifyClientCert", "[client]");
    assert_gets_in(&guard, &site.client(&[]), false, "CN=client");
    assert_gets_in(&guard, &site.client(&[San::Dns("client")]), true, "DNS:client");
}

#[test]
fn names_match_exactly() {
    let site = Site::new();
    let guard = site.guard("RequireAndVerifyClientCert", "['*.example', Client.Example]");
    for (san, expected) in [
        (San::Dns("a.example"), false),
        (San::Dns("*.example"), true),
        (San::Dns("Client.Example"), true),
        (San::Dns("client.example"), false),
        (San::Email("Client.Example"), true),
    ] {
        assert_gets_in(
            &guard,
            &site.client(std::slice::from_ref(&san)),
            expected,
            &format!("{san:?}"),
        );
    }
}

/// The names of a certificate count only when a trusted CA signed it.
#[test]
fn an_allowed_name_does_not_replace_the_ca() {
    let site = Site::new();
    let guard = site.guard("RequireAndVerifyClientCert", "[client.example]");
    let leaf = Leaf::client().sans(&[San::Dns("client.example")]);
    assert_gets_in(&guard, &leaf.self_signed(), false, "self-signed");
    assert_gets_in(&guard, &Authority::new("client CA").issue(&leaf), false, "of another CA");
    assert_gets_in(&guard, &site.clients.issue(&leaf.clone().valid(-10, -1)), false, "expired");
    assert_gets_in(&guard, &site.clients.issue(&leaf), true, "good");
}

#[test]
fn the_list_is_checked_when_a_certificate_is_presented() {
    let site = Site::new();
    let named = site.client(&[San::Dns("client.example")]);
    let other = site.client(&[San::Dns("other.example")]);
    for (policy, without) in [
        ("RequestClientCert", true),
        ("RequireAnyClientCert", false),
        ("VerifyClientCertIfGiven", true),
        ("RequireAndVerifyClientCert", false),
    ] {
        let guard = site.guard(policy, "[client.example]");
        assert_gets_in(&guard, &named, true, policy);
        assert_gets_in(&guard, &other, false, policy);
        let result = TlsClient::new().try_get(guard.port(), "");
        assert_eq!(result.is_ok(), without, "{policy} without a certificate");
    }
    let self_signed = |name| Leaf::client().sans(&[San::Dns(name)]).self_signed();
    for policy in ["RequestClientCert", "RequireAnyClientCert"] {
        let guard = site.guard(policy, "[client.example]");
        assert_gets_in(&guard, &self_signed("client.example"), true, policy);
        assert_gets_in(&guard, &self_signed("other.example"), false, policy);
    }
}

/// Only the leaf's names count, not those of the CA that signed it.
#[test]
fn names_of_the_chain_do_not_count() {
    let site = Site::new();
    let guard = site.guard("RequireAndVerifyClientCert", "[intermediate]");
    let intermediate = site.clients.intermediate("intermediate");
    assert_gets_in(&guard, &intermediate.issue(&Leaf::client()), false, "the chain's name");
}

/// A resumed session brings no certificate, and so no names to check again: it must be one of a
/// client that passed.
#[test]
fn a_refused_name_leaves_no_session_to_resume() {
    let site = Site::new();
    let guard = site.guard("RequireAndVerifyClientCert", "[client.example]");
    let other = site.client(&[San::Dns("other.example")]);
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let client = TlsClient::new().identity(&other).version(version);
        assert!(client.try_get(guard.port(), "").is_err());
        if let Some(session) = client.last_session() {
            let resumed = TlsClient::new().version(version).resume(session);
            assert!(resumed.try_get(guard.port(), "").is_err(), "{version:?}");
        }
    }
}
