//! The names that the file has for versions, suites, curves and client policies, and what OpenSSL
//! calls them.

/// Go's ClientAuthType.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Request,
    RequireAny,
    VerifyIfGiven,
    RequireAndVerify,
}

/// What a listener demands of its clients, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientCertificate {
    Optional,
    /// One that nobody need have signed.
    Any,
    /// One that leads to a trusted CA.
    Verified,
}

impl ClientAuth {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "NoClientCert" => Some(Self::None),
            "RequestClientCert" => Some(Self::Request),
            "RequireAnyClientCert" | "RequireClientCert" => Some(Self::RequireAny),
            "VerifyClientCertIfGiven" => Some(Self::VerifyIfGiven),
            "RequireAndVerifyClientCert" => Some(Self::RequireAndVerify),
            _ => None,
        }
    }

    /// What every client that gets through has shown.
    pub fn required_level(self) -> ClientCertificate {
        match self {
            Self::None | Self::Request | Self::VerifyIfGiven => ClientCertificate::Optional,
            Self::RequireAny => ClientCertificate::Any,
            Self::RequireAndVerify => ClientCertificate::Verified,
        }
    }

    /// The same without insisting, for listeners on which some requests need no certificate.
    pub fn without_requirement(self) -> Self {
        match self {
            Self::RequireAny => Self::Request,
            Self::RequireAndVerify => Self::VerifyIfGiven,
            other => other,
        }
    }

    /// What a client that has a certificate has shown.
    pub fn presented_level(self) -> ClientCertificate {
        if self.verifies() { ClientCertificate::Verified } else { ClientCertificate::Any }
    }

    /// Whether a certificate must lead to a trusted CA.
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl TlsVersion {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "TLS10" => Some(Self::Tls10),
            "TLS11" => Some(Self::Tls11),
            "TLS12" => Some(Self::Tls12),
            "TLS13" => Some(Self::Tls13),
            _ => None,
        }
    }
}

/// One of Go's secure suites (`tls.CipherSuites()`), by its index in [`CIPHER_SUITES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CipherSuite(usize);

/// Go's name and OpenSSL's.
const CIPHER_SUITES: [(&str, &str); 13] = [
    ("TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"),
    ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ("TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
];

impl CipherSuite {
    pub(super) fn parse(text: &str) -> Option<Self> {
        CIPHER_SUITES.iter().position(|(go, _)| *go == text).map(Self)
    }

    pub fn go_name(self) -> &'static str {
        CIPHER_SUITES[self.0].0
    }

    pub fn openssl_name(self) -> &'static str {
        CIPHER_SUITES[self.0].1
    }

    /// Go accepts the names of TLS 1.3's suites and uses all three whatever is listed.
    pub fn is_tls13(self) -> bool {
        self.go_name() == self.openssl_name()
    }

    pub fn needs_ecdsa(self) -> bool {
        self.go_name().contains("_ECDSA_")
    }

    pub fn needs_rsa(self) -> bool {
        self.go_name().contains("_RSA_")
    }

    /// What RFC 9113 section 9.2.2 makes mandatory; Go refuses HTTP/2 without it.
    pub(super) fn is_http2_mandatory(self) -> bool {
        self.go_name().ends_with("_WITH_AES_128_GCM_SHA256")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    P256,
    P384,
    P521,
    X25519,
    /// Not in the exporter-toolkit's list.
    X25519MlKem768,
}

impl Curve {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "CurveP256" => Some(Self::P256),
            "CurveP384" => Some(Self::P384),
            "CurveP521" => Some(Self::P521),
            "X25519" => Some(Self::X25519),
            "X25519MLKEM768" => Some(Self::X25519MlKem768),
            _ => None,
        }
    }

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
