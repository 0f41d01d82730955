//! `tls_server_config`.

use super::{Row, bad, good, warns};
use crate::support::indented;

const OFF: &str = "an exporter serves plaintext";
const NO_INLINE: &str = "toolkit 0.8 has no inline material";
const NO_SANS: &str = "toolkit 0.8 has no client_allowed_sans";
const RSA_KEY_EXCHANGE: &str = "Go 1.19 still lists suites with RSA key exchange as secure";
const NOT_AT_CHECK: &str = "promtool does not set up HTTP/2";

pub fn rows() -> Vec<Row> {
    [material(), client(), policy()].into_iter().flatten().collect()
}

/// The section with these keys.
fn tls(keys: &str) -> String {
    "tls_server_config:\n".to_owned() + &indented(2, keys)
}

fn files(cert: &str, key: &str) -> String {
    tls(&[format!("cert_file: {cert}\n"), format!("key_file: {key}\n")].concat())
}

fn pair(name: &str) -> String {
    files(&format!("{name}.crt"), &format!("{name}.key"))
}

/// The section with a certificate and, from its fourth line on, these keys.
fn with(keys: &str) -> String {
    pair("ec") + &indented(2, keys)
}

fn material() -> Vec<Row> {
    vec![
        good("ECDSA, PKCS#8", pair("ec")),
        good("RSA, PKCS#8", pair("rsa")),
        good("Ed25519", pair("ed")),
        good("ECDSA, SEC1", pair("sec1")),
        good("RSA, PKCS#1", pair("pkcs1")),
        good("a chain", pair("chain")),
        good("a path with dots", files("./ec.crt", "./ec.key")),
        warns("an expired certificate", "expired on", pair("expired")),
        warns("a certificate about to expire", "expires soon", pair("soon")),
        warns("a certificate from the future", "not valid before", pair("future")),
        warns("a certificate without names", "no subject alternative name", pair("nosan")),
        bad("a key of another certificate", 3, "does not belong", files("ec.crt", "other.key")),
        bad("a key of another kind", 3, "does not belong", files("ec.crt", "rsa.key")),
        bad("no certificate file", 2, "cannot read", files("nowhere.crt", "ec.key")),
        bad("no key file", 3, "cannot read", files("ec.crt", "nowhere.key")),
        bad(
            "a directory for a certificate",
            2,
            "not a regular file",
            files("directory.pem", "ec.key"),
        ),
        bad("an empty certificate file", 2, "no PEM certificate", files("empty.pem", "ec.key")),
        bad("a garbled certificate", 2, "cannot be parsed", files("garbage.pem", "ec.key")),
        bad("text for a certificate", 2, "no PEM certificate", files("text.pem", "ec.key")),
        bad("text for a key", 3, "no PEM private key", files("ec.crt", "text.pem")),
        bad("a key for a certificate", 2, "no PEM certificate", files("ec.key", "ec.key")),
        bad("a certificate for a key", 3, "no PEM private key", files("ec.crt", "ec.crt")),
        bad("an encrypted key", 3, "the key is encrypted", files("ec.crt", "encrypted.key")),
        bad("a certificate without a key", 2, "key_file: missing", tls("cert_file: ec.crt")),
        bad("a key without a certificate", 2, "cert_file: missing", tls("key_file: ec.key")),
        bad("a policy alone", 2, "cert_file: missing", tls("client_auth_type: RequestClientCert")),
        bad(
            "NoClientCert alone turns TLS on, too",
            2,
            "cert_file: missing",
            tls("client_auth_type: NoClientCert"),
        ),
        bad("an empty file name is none", 2, "nothing in it turns TLS on", files("''", "''"))
            .differ(OFF),
        bad("versions alone", 2, "nothing in it turns TLS on", tls("min_version: TLS13"))
            .differ(OFF),
        bad(
            "suites alone",
            2,
            "nothing in it turns TLS on",
            tls("cipher_suites: [TLS_AES_128_GCM_SHA256]"),
        )
        .differ(OFF),
        bad("a list of certificates", 2, "expected a string", files("[ec.crt]", "ec.key")),
        bad("an unknown key for TLS", 4, "unknown key \"ca_file\"", with("ca_file: ca.crt")),
        bad("cert_file twice", 4, "duplicate key", with("cert_file: ec.crt")),
        bad(
            "inline text that is no certificate",
            2,
            "no PEM certificate",
            tls("
                cert: nonsense
                key_file: ec.key
                "),
        ),
        good("a file wins over inline text", with("cert: nonsense")).differ(NO_INLINE),
    ]
}

fn client() -> Vec<Row> {
    let client = |kind: &str| {
        with(&format!(
            "
            client_auth_type: {kind}
            client_ca_file: ca.crt
            "
        ))
    };
    vec![
        good("request", client("RequestClientCert")),
        good("require any", client("RequireAnyClientCert")),
        good("require, the older name", client("RequireClientCert")),
        good("verify if given", client("VerifyClientCertIfGiven")),
        good("require and verify", client("RequireAndVerifyClientCert")),
        good("no client certificate", with("client_auth_type: NoClientCert")),
        good("an empty policy", with("client_auth_type: ''")),
        bad(
            "a policy that does not exist",
            4,
            "expected NoClientCert",
            with("client_auth_type: Require"),
        ),
        bad(
            "a policy in another case",
            4,
            "expected NoClientCert",
            with("client_auth_type: requireanyclientcert"),
        ),
        bad(
            "a CA without policy",
            4,
            "without a Client Auth Policy",
            with("client_ca_file: ca.crt"),
        ),
        bad("a CA with NoClientCert", 5, "without a Client Auth Policy", client("NoClientCert")),
        bad(
            "no CA file",
            5,
            "cannot read",
            with(
                "
                client_auth_type: RequireAndVerifyClientCert
                client_ca_file: nowhere.crt
                ",
            ),
        ),
        warns(
            "verification without CA",
            "system's public CAs",
            with("client_auth_type: RequireAndVerifyClientCert"),
        ),
        warns(
            "a CA that is none",
            "none of the certificates is a CA",
            with(
                "
                client_auth_type: RequireAndVerifyClientCert
                client_ca_file: ec.crt
                ",
            ),
        ),
        bad(
            "an empty CA file",
            5,
            "no PEM certificate",
            with(
                "
                client_auth_type: RequireAndVerifyClientCert
                client_ca_file: empty.pem
                ",
            ),
        )
        .differ("toolkit 0.8 takes a CA file without certificates and then refuses every client"),
        good(
            "allowed names",
            with(
                "
                client_auth_type: RequireAndVerifyClientCert
                client_ca_file: ca.crt
                client_allowed_sans: [a.example.com, 10.0.0.1]
                ",
            ),
        )
        .differ(NO_SANS),
        warns(
            "allowed names of optional certificates",
            "a client without a certificate passes",
            with(
                "
                client_auth_type: VerifyClientCertIfGiven
                client_ca_file: ca.crt
                client_allowed_sans: [a]
                ",
            ),
        )
        .differ(NO_SANS),
        warns(
            "allowed names of unsigned certificates",
            "can hold any name",
            with(
                "
                client_auth_type: RequireAnyClientCert
                client_allowed_sans: [a]
                ",
            ),
        )
        .differ(NO_SANS),
        warns(
            "allowed names without policy",
            "no certificate is asked for",
            with("client_allowed_sans: [a]"),
        )
        .differ(NO_SANS),
    ]
}

fn policy() -> Vec<Row> {
    vec![
        good("TLS 1.3 at least", with("min_version: TLS13")),
        good("TLS 1.2 at most", with("max_version: TLS12")),
        warns("TLS 1.0 at least", "deprecated", with("min_version: TLS10")),
        warns("TLS 1.1 at least", "deprecated", with("min_version: TLS11")),
        warns("min above max", "no handshake can succeed", with("
            min_version: TLS13
            max_version: TLS12
            ")),
        bad("a version that does not exist", 4, "expected TLS10", with("min_version: TLS14")),
        bad("a version in another spelling", 4, "expected TLS10", with("max_version: '1.2'")),
        bad("a version as a number", 4, "expected TLS10", with("min_version: 1.2")),
        good("a suite", with("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]")),
        good("suites of TLS 1.2 and 1.3", with("
            cipher_suites:
            - TLS_AES_128_GCM_SHA256
            - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            ")),
        good("an empty list of suites", with("cipher_suites: []")),
        good("CBC suites without HTTP/2", with("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA]") + "http_server_config: {http2: false}\n"),
        good("no mandatory suite, but TLS 1.3 alone", with("
            min_version: TLS13
            cipher_suites: [TLS_AES_256_GCM_SHA384]
            ")),
        warns("suites for another kind of key", "none works", with("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]")),
        bad("HTTP/2 without its mandatory suite", 4, "HTTP/2 needs", with("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384]"))
            .only_exporter(NOT_AT_CHECK),
        bad("an OpenSSL name for a suite", 4, "tls.CipherSuites", with("cipher_suites: [ECDHE-ECDSA-AES128-GCM-SHA256]")),
        bad("an RC4 suite", 4, "tls.CipherSuites", with("cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]")),
        bad("the second of two suites is unknown", 6, "tls.CipherSuites", with("
            cipher_suites:
            - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            - TLS_NONSENSE
            ")),
        bad("a suite with RSA key exchange", 4, "tls.CipherSuites", with("cipher_suites: [TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]"))
            .differ(RSA_KEY_EXCHANGE),
        good("client's preference", with("prefer_server_cipher_suites: false")),
        bad("a preference in words", 4, "expected true or false", with("prefer_server_cipher_suites: never")),
        good("curves", with("curve_preferences: [X25519, CurveP256, CurveP384, CurveP521]")),
        good("an empty list of curves", with("curve_preferences: []")),
        bad("a curve that does not exist", 4, "expected CurveP256", with("curve_preferences: [CurveP255]")),
        bad("an OpenSSL name for a curve", 4, "expected CurveP256", with("curve_preferences: [prime256v1]")),
        good("a post-quantum curve", with("curve_preferences: [X25519MLKEM768, X25519]")).differ("ours to add"),
    ]
}
