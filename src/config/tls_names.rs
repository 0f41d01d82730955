//! The names that the file has for versions, suites, curves and client policies, and what OpenSSL
//! calls them.

/// The treatment of client certificates: Go's ClientAuthType.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// None is asked for.
    None,
    /// One is asked for, and any or none will do.
    Request,
    /// One is required, and nobody need have signed it.
    RequireAny,
    /// One is asked for, and must be valid if it comes.
    VerifyIfGiven,
    /// One is required, and must be valid.
    RequireAndVerify,
}

/// The certificate that a client has to show, or has shown; weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientCertificate {
    /// None need be shown.
    Optional,
    /// A certificate that nobody need have signed.
    Any,
    /// A certificate that leads to a trusted CA.
    Verified,
}

/// The values of `client_auth_type`; the last one is an older name.
pub const CLIENT_AUTH: [(&str, ClientAuth); 6] = [
    ("NoClientCert", ClientAuth::None),
    ("RequestClientCert", ClientAuth::Request),
    ("RequireAnyClientCert", ClientAuth::RequireAny),
    ("VerifyClientCertIfGiven", ClientAuth::VerifyIfGiven),
    ("RequireAndVerifyClientCert", ClientAuth::RequireAndVerify),
    ("RequireClientCert", ClientAuth::RequireAny),
];

impl ClientAuth {
    /// Returns what every client that gets through has shown.
    pub fn required_level(self) -> ClientCertificate {
        match self {
            Self::None | Self::Request | Self::VerifyIfGiven => ClientCertificate::Optional,
            Self::RequireAny => ClientCertificate::Any,
            Self::RequireAndVerify => ClientCertificate::Verified,
        }
    }

    /// Returns the same without insisting, for listeners on which some requests need no certificate.
    pub fn without_requirement(self) -> Self {
        match self {
            Self::RequireAny => Self::Request,
            Self::RequireAndVerify => Self::VerifyIfGiven,
            other => other,
        }
    }

    /// Returns what a client that has a certificate has shown.
    pub fn presented_level(self) -> ClientCertificate {
        if self.verifies() { ClientCertificate::Verified } else { ClientCertificate::Any }
    }

    /// Returns whether a certificate must lead to a trusted CA.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// A version of TLS, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.0, deprecated by RFC 8996.
    Tls10,
    /// TLS 1.1, deprecated by RFC 8996.
    Tls11,
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// The values of `min_version` and `max_version`.
pub const TLS_VERSIONS: [(&str, TlsVersion); 4] = [
    ("TLS10", TlsVersion::Tls10),
    ("TLS11", TlsVersion::Tls11),
    ("TLS12", TlsVersion::Tls12),
    ("TLS13", TlsVersion::Tls13),
];

/// One of Go's secure suites (`tls.CipherSuites()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CipherSuite {
    go_name: &'static str,
    openssl_name: &'static str,
}

const fn suite(go_name: &'static str, openssl_name: &'static str) -> (&'static str, CipherSuite) {
    (go_name, CipherSuite { go_name, openssl_name })
}

/// The values of `cipher_suites`.
pub const CIPHER_SUITES: [(&str, CipherSuite); 13] = [
    suite("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    suite("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    suite("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    suite("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"),
    suite("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"),
    suite("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
    suite("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
    suite("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    suite("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    suite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    suite("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    suite("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    suite("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
];

impl CipherSuite {
    /// Returns the name that the file has.
    pub fn go_name(self) -> &'static str {
        self.go_name
    }

    /// Returns the name that OpenSSL has.
    pub fn openssl_name(self) -> &'static str {
        self.openssl_name
    }

    /// Returns whether it is a suite of TLS 1.3. Go accepts their names and uses all three whatever
    /// is listed.
    pub fn is_tls13(self) -> bool {
        self.go_name == self.openssl_name
    }

    /// Returns whether it works with an ECDSA or Ed25519 key alone.
    pub fn needs_ecdsa(self) -> bool {
        self.go_name.contains("_ECDSA_")
    }

    /// Returns whether it works with an RSA key alone.
    pub fn needs_rsa(self) -> bool {
        self.go_name.contains("_RSA_")
    }

    /// Returns whether it satisfies RFC 9113 section 9.2.2; Go refuses HTTP/2 without one that does.
    pub fn is_http2_mandatory(self) -> bool {
        self.go_name.ends_with("_WITH_AES_128_GCM_SHA256")
    }
}

/// A group for the key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// NIST P-521.
    P521,
    /// X25519 (RFC 7748).
    X25519,
    /// X25519 with ML-KEM-768, which is not in the exporter-toolkit's list.
    X25519MlKem768,
}

/// The values of `curve_preferences`.
pub const CURVES: [(&str, Curve); 5] = [
    ("CurveP256", Curve::P256),
    ("CurveP384", Curve::P384),
    ("CurveP521", Curve::P521),
    ("X25519", Curve::X25519),
    ("X25519MLKEM768", Curve::X25519MlKem768),
];

impl Curve {
    /// Returns the name that OpenSSL has.
    pub fn openssl_name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::X25519 => "X25519",
            Self::X25519MlKem768 => "X25519MLKEM768",
        }
    }
}
