//! The sections of the exporter-toolkit (v0.17).

use super::declaration::{Key, section};
use super::number_types::{Boolean, GoDuration, Integer};
use super::section_types::Nested;
use super::text_types::{Choice, ChoiceList, HeaderField, Text, TextList};
use crate::config::tls_names::{
    CIPHER_SUITES, CLIENT_AUTH, CURVES, CipherSuite, ClientAuth, Curve, TLS_VERSIONS, TlsVersion,
};

/// The beginning of a hash of bcrypt: version and cost.
const BCRYPT: &str = r"^\$2[abxy]?\$(0[4-9]|\+[4-9]|[12][0-9]|3[01])\$";
/// `$2$10$` and 53 characters, the shortest that the exporter-toolkit takes.
pub const SHORTEST_BCRYPT: usize = 59;

/// A hash of bcrypt.
pub(super) const fn bcrypt_hash() -> Text {
    Text::matching("bcrypt hash", BCRYPT).of_length(SHORTEST_BCRYPT)
}

section! {
    TLS = "tls_server_config", Toolkit, "TLS is on as soon as a certificate, a key, a client CA or \
        `client_auth_type` is given. Paths are relative to the directory of the file. Where text and \
        file are given, the file counts.";
    CERT: Text = Key::new("cert", Text::new("PEM text"),
        "The certificate, followed by its intermediates")
        .protecting("''");
    CERT_FILE: Text = Key::new("cert_file", Text::new("path"),
        "The file with the certificate, followed by its intermediates")
        .protecting("''");
    KEY: Text = Key::new("key", Text::new("PEM text"),
        "The key of the certificate: RSA, ECDSA or Ed25519, as PKCS#1, PKCS#8 or SEC1")
        .protecting("''");
    KEY_FILE: Text = Key::new("key_file", Text::new("path"),
        "The file with the key of the certificate")
        .protecting("''");
    CLIENT_CA: Text = Key::new("client_ca", Text::new("PEM text"),
        "The CAs that client certificates are verified against")
        .without("the system's CAs")
        .protecting("''");
    CLIENT_CA_FILE: Text = Key::new("client_ca_file", Text::new("path"),
        "The file with the CAs that client certificates are verified against")
        .without("the system's CAs")
        .protecting("''");
    CLIENT_CRL: Text = Key::new("client_crl", Text::new("PEM text"),
        "Certificate revocation lists of those CAs. The exporter-toolkit does not know the key")
        .protecting("''");
    CLIENT_CRL_FILE: TextList = Key::new("client_crl_file", TextList::of(Text::new("path")),
        "Files with certificate revocation lists of those CAs, PEM or DER. A certificate is refused if \
         a list names it, and if a CA that it leads to has no list, or one whose next update is past. \
         The exporter-toolkit does not know the key")
        .without("certificates are not revoked")
        .protecting("[]");
    CLIENT_AUTH_TYPE: Choice<ClientAuth> = Key::new("client_auth_type",
        Choice::new(&CLIENT_AUTH, 0, "NoClientCert, RequestClientCert, \
            RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert"),
        "What is done about client certificates. `RequireClientCert` is an older name of \
         `RequireAnyClientCert`")
        .protecting("''");
    CLIENT_ALLOWED_SANS: TextList = Key::new("client_allowed_sans", TextList::of(Text::new("name")),
        "The DNS, e-mail, IP or URI names, one of which a client certificate must have, in exactly this \
         spelling, if it is shown")
        .without("any name")
        .protecting("[]");
    MIN_VERSION: Choice<TlsVersion> = Key::new("min_version",
        Choice::new(&TLS_VERSIONS, 2, "TLS10, TLS11, TLS12 or TLS13"),
        "The oldest version of TLS")
        .protecting("''");
    MAX_VERSION: Choice<TlsVersion> = Key::new("max_version",
        Choice::new(&TLS_VERSIONS, 3, "TLS10, TLS11, TLS12 or TLS13"),
        "The newest version of TLS");
    CIPHER_SUITES_KEY: ChoiceList<CipherSuite> = Key::new("cipher_suites",
        ChoiceList::of(&CIPHER_SUITES, "a name that Go's tls.CipherSuites lists, such as \
            TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
        "The suites of TLS 1.2 in the order of preference. Those of TLS 1.3 are always offered")
        .without("the ECDHE suites with AES-GCM and ChaCha20-Poly1305")
        .protecting("[]");
    PREFER_SERVER_CIPHER_SUITES: Boolean = Key::new("prefer_server_cipher_suites",
        Boolean::new(true), "Whether the order of the server counts, and not that of the client");
    CURVE_PREFERENCES: ChoiceList<Curve> = Key::new("curve_preferences",
        ChoiceList::of(&CURVES, "CurveP256, CurveP384, CurveP521, X25519 or X25519MLKEM768"),
        "The groups for the key exchange in the order of preference. The exporter-toolkit does not \
         know `X25519MLKEM768`")
        .without("all, post-quantum first")
        .protecting("[]");
}

section! {
    HTTP = "http_server_config", Toolkit, "HTTP itself.";
    HTTP2: Boolean = Key::new("http2", Boolean::new(true),
        "Whether listeners with TLS offer HTTP/2 beside HTTP/1.1");
    HEADERS_KEY: Nested = Key::new("headers", Nested(&HEADERS),
        "The header fields of every response, also of 401, 429 and 502");
}

section! {
    HEADERS = "http_server_config.headers", Toolkit, "The header fields that can be configured. The \
        case of names and values counts.";
    CONTENT_SECURITY_POLICY: HeaderField = Key::new("Content-Security-Policy", HeaderField::of(&[]),
        "The sources that a browser may load from");
    STRICT_TRANSPORT_SECURITY: HeaderField = Key::new("Strict-Transport-Security",
        HeaderField::of(&[]), "For how long a browser may use nothing but TLS");
    X_CONTENT_TYPE_OPTIONS: HeaderField = Key::new("X-Content-Type-Options",
        HeaderField::of(&["nosniff"]), "That a browser must not guess the type of an answer");
    X_FRAME_OPTIONS: HeaderField = Key::new("X-Frame-Options",
        HeaderField::of(&["deny", "sameorigin"]), "The sites that may show the page in a frame");
    X_XSS_PROTECTION: HeaderField = Key::new("X-XSS-Protection", HeaderField::of(&[]),
        "The filter of older browsers");
}

section! {
    RATE_LIMIT = "rate_limit", Toolkit, "A token bucket for the whole server.";
    INTERVAL: GoDuration = Key::new("interval", GoDuration::any(),
        "The time in which the bucket gains a token. 0 is no limit; a bare number is nanoseconds");
    BURST: Integer<i64> = Key::new("burst", Integer::new(i64::MIN..=i64::MAX, 0, ""),
        "The tokens that the bucket holds. 0 with an interval refuses every request");
}
