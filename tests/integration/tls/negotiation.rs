//! Versions, cipher suites, curves and ALPN: the server offers what the file says, no more.

use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::ssl::SslVersion;

use crate::support::*;

const VERSIONS: [(&str, SslVersion); 4] = [
    ("TLS10", SslVersion::TLS1),
    ("TLS11", SslVersion::TLS1_1),
    ("TLS12", SslVersion::TLS1_2),
    ("TLS13", SslVersion::TLS1_3),
];

/// A guard with these further keys in its TLS section, and further sections.
fn guard(tls: &ServerTls, keys: &str, rest: &str) -> Guard {
    GuardBuilder::new().config(tls_with(keys) + rest).tls(tls).start()
}

/// Which versions a client gets through with, each tried alone.
fn accepted(guard: &Guard) -> Vec<&'static str> {
    let works = |version| TlsClient::new().version(version).try_get(guard.port(), "").is_ok();
    VERSIONS.iter().filter(|(_, version)| works(*version)).map(|(name, _)| *name).collect()
}

#[test]
fn versions_are_those_between_min_and_max() {
    let tls = ServerTls::new();
    for (min, max, expected) in [
        (None, None, &["TLS12", "TLS13"][..]),
        (Some("TLS10"), None, &["TLS10", "TLS11", "TLS12", "TLS13"]),
        (Some("TLS11"), None, &["TLS11", "TLS12", "TLS13"]),
        (Some("TLS12"), None, &["TLS12", "TLS13"]),
        (Some("TLS13"), None, &["TLS13"]),
        (None, Some("TLS13"), &["TLS12", "TLS13"]),
        (None, Some("TLS12"), &["TLS12"]),
        (Some("TLS12"), Some("TLS12"), &["TLS12"]),
        (Some("TLS11"), Some("TLS12"), &["TLS11", "TLS12"]),
        (Some("TLS13"), Some("TLS13"), &["TLS13"]),
    ] {
        let min_line = min.map(|v| format!("min_version: {v}\n")).unwrap_or_default();
        let max_line = max.map(|v| format!("max_version: {v}\n")).unwrap_or_default();
        let guard = guard(&tls, &(min_line + &max_line), "");
        assert_eq!(accepted(&guard), expected, "min {min:?}, max {max:?}");
    }
}

/// An exporter starts with it, too.
#[test]
fn min_above_max_starts_and_admits_no_client() {
    const NONE: &str = "
        min_version: TLS13
        max_version: TLS12
        ";
    let tls = ServerTls::new();
    let guard = guard(&tls, NONE, "");
    assert_eq!(accepted(&guard), [""; 0]);
}

fn suite(client: &TlsClient, guard: &Guard) -> Option<String> {
    let client = client.clone().version(SslVersion::TLS1_2);
    let connected = client.try_connect(guard.port()).ok()?;
    connected.ssl().current_cipher().map(|cipher| cipher.name().to_owned())
}

/// Go's name, OpenSSL's name, and the key it works with.
const SUITES: [(&str, &str, KeyKind); 6] = [
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", KeyKind::Ecdsa),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", KeyKind::Ecdsa),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        KeyKind::Ecdsa,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", KeyKind::Rsa),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", KeyKind::Rsa),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", KeyKind::Rsa),
];

const NO_HTTP2: &str = "http_server_config: {http2: false}\n";

#[test]
fn a_single_cipher_suite_is_the_only_one() {
    for (go, openssl, key) in SUITES {
        let ca = Authority::new("server CA");
        let identity = ca.issue(&Leaf::server().key(key));
        let tls = ServerTls { ca, identity };
        let guard = guard(&tls, &format!("cipher_suites: [{go}]"), NO_HTTP2);
        assert_eq!(suite(&TlsClient::new(), &guard).as_deref(), Some(openssl));
        let others: Vec<&str> =
            SUITES.iter().map(|(_, name, _)| *name).filter(|name| *name != openssl).collect();
        assert_eq!(suite(&TlsClient::new().ciphers(&others.join(":")), &guard), None, "{go}");
    }
}

#[test]
fn the_default_suites_have_forward_secrecy_and_authentication() {
    let tls = ServerTls::new();
    let guard = guard(&tls, "", "");
    for (list, works) in [
        ("ECDHE-ECDSA-AES128-GCM-SHA256", true),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", true),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", true),
        ("AES128-GCM-SHA256:AES256-SHA", false),
        ("DHE-RSA-AES128-GCM-SHA256", false),
        ("aNULL:eNULL:@SECLEVEL=0", false),
    ] {
        let found = suite(&TlsClient::new().ciphers(list), &guard);
        assert_eq!(found.is_some(), works, "{list}: {found:?}");
    }
}

#[test]
fn the_order_of_suites_is_that_of_the_server_or_the_client() {
    let tls = ServerTls::new();
    let [aes128, aes256, chacha, ..] = SUITES;
    let lines = format!("cipher_suites: [{}, {}, {}]\n", chacha.0, aes256.0, aes128.0);
    let client = TlsClient::new().ciphers(&[aes128.1, aes256.1, chacha.1].join(":"));
    for (prefer, expected) in [
        ("", chacha.1),
        ("prefer_server_cipher_suites: true", chacha.1),
        ("prefer_server_cipher_suites: false", aes128.1),
    ] {
        let guard = guard(&tls, &format!("{lines}{prefer}"), "");
        assert_eq!(suite(&client, &guard).as_deref(), Some(expected), "{prefer:?}");
    }
}

/// Go does not let TLS 1.3 suites be chosen.
#[test]
fn tls13_suites_in_the_list_change_nothing() {
    let tls = ServerTls::new();
    let lines = "cipher_suites: [TLS_CHACHA20_POLY1305_SHA256]";
    let guard = guard(&tls, lines, NO_HTTP2);
    let client = TlsClient::new().version(SslVersion::TLS1_3).connect(guard.port());
    assert_eq!(client.ssl().current_cipher().unwrap().name(), "TLS_AES_128_GCM_SHA256");
}

#[test]
fn http2_with_a_list_that_lacks_its_mandatory_suite_is_an_error() {
    let tls = ServerTls::new();
    let config = tls_with("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]");
    let failed = GuardBuilder::new().config(&config).tls(&tls).fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("web.yml:4"), "{failed}");
    let guard = GuardBuilder::new().config(config + NO_HTTP2).tls(&tls).start();
    assert!(suite(&TlsClient::new(), &guard).is_some());
}

/// Go's name of the curve that the key exchange of TLS 1.2 runs on.
fn curve(client: &TlsClient, guard: &Guard) -> Option<&'static str> {
    let client = client.clone().version(SslVersion::TLS1_2);
    let connected = client.try_connect(guard.port()).ok()?;
    let key = connected.ssl().peer_tmp_key().ok()?;
    let nid = match key.id() {
        Id::EC => key.ec_key().ok()?.group().curve_name(),
        // X25519 is a kind of key of its own.
        _ => None,
    };
    CURVES.iter().find(|(_, _, curve)| *curve == nid).map(|(go, _, _)| *go)
}

const CURVES: [(&str, &str, Option<Nid>); 4] = [
    ("CurveP256", "P-256", Some(Nid::X9_62_PRIME256V1)),
    ("CurveP384", "P-384", Some(Nid::SECP384R1)),
    ("CurveP521", "P-521", Some(Nid::SECP521R1)),
    ("X25519", "X25519", None),
];

#[test]
fn a_single_curve_is_the_only_one() {
    let tls = ServerTls::new();
    for (go, openssl, _) in CURVES {
        let guard = guard(&tls, &format!("curve_preferences: [{go}]"), "");
        assert_eq!(curve(&TlsClient::new(), &guard), Some(go), "{go}");
        let others: Vec<&str> =
            CURVES.iter().map(|(_, name, _)| *name).filter(|name| *name != openssl).collect();
        let others = TlsClient::new().groups(&others.join(":"));
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let refused = others.clone().version(version).try_get(guard.port(), "");
            // The certificate's own curve is in the client's list, too, so TLS 1.2 can only fail
            // for want of a common curve for the key exchange.
            assert!(refused.is_err(), "{go} alone, {version:?}");
        }
        let same = TlsClient::new().groups(openssl).version(SslVersion::TLS1_3);
        assert_eq!(same.try_get(guard.port(), "").unwrap().status, 200, "{go}");
    }
}

#[test]
fn the_order_of_curves_is_that_of_the_server() {
    let tls = ServerTls::new();
    let guard = guard(&tls, "curve_preferences: [CurveP521, CurveP384, CurveP256]", "");
    let client = TlsClient::new().groups("P-256:P-384:P-521");
    assert_eq!(curve(&client, &guard), Some("CurveP521"));
    let client = TlsClient::new().groups("P-256:P-384");
    assert_eq!(curve(&client, &guard), Some("CurveP384"));
}

fn alpn(guard: &Guard, offered: &[u8]) -> Option<String> {
    let client = TlsClient::new().alpn(offered).connect(guard.port());
    client.ssl().selected_alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
}

#[test]
fn http2_is_offered_unless_turned_off() {
    let tls = ServerTls::new();
    for (config, with_both) in
        [("", "h2"), ("http_server_config: {http2: true}\n", "h2"), (NO_HTTP2, "http/1.1")]
    {
        let guard = guard(&tls, "", config);
        assert_eq!(alpn(&guard, tls::H2_AND_HTTP1).as_deref(), Some(with_both), "{config:?}");
        let reversed = alpn(&guard, b"\x08http/1.1\x02h2");
        assert_eq!(reversed.as_deref(), Some(with_both), "the server's order, {config:?}");
        assert_eq!(alpn(&guard, tls::HTTP1).as_deref(), Some("http/1.1"), "{config:?}");
        let only_http2 = TlsClient::new().alpn(b"\x02h2").try_connect(guard.port());
        assert_eq!(only_http2.is_ok(), with_both == "h2", "{config:?}");
        let line = guard.wait_log("listening", |line| line.contains("listener=web"));
        let http2 = (with_both == "h2").to_string();
        assert_eq!(logfmt::field(&line, "http2"), http2, "{line}");
        assert_eq!(logfmt::field(&line, "tls"), "true", "{line}");
    }
}

#[test]
fn a_client_without_alpn_speaks_http1() {
    let tls = ServerTls::new();
    let guard = guard(&tls, "", "");
    assert_eq!(TlsClient::new().connect(guard.port()).get("/metrics").status, 200);
}
