//! `tls_server_config`: names and files to typed values. The PEM itself is parsed by
//! [`crate::tls::material`].

use super::material::{PemMaterial, SniCertificate};
use crate::config::files::{Secret, is_pem};
use crate::config::keys::toolkit::{
    CERT, CERT_FILE, CIPHER_SUITES_KEY, CLIENT_ALLOWED_SANS, CLIENT_AUTH_TYPE, CLIENT_CA,
    CLIENT_CA_FILE, CLIENT_CRL, CLIENT_CRL_FILE, CURVE_PREFERENCES, KEY, KEY_FILE, MAX_VERSION,
    MIN_VERSION, PREFER_SERVER_CIPHER_SUITES, TLS,
};
use crate::config::keys::{Choice, Declaration, Key, Section, Text, TextValue, Value};
use crate::config::tls_names::{CipherSuite, ClientAuth, Curve, TlsVersion};
use crate::config::yaml::NodeId;

/// The TLS of a listener, or of all that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The name of the section, for messages.
    pub section: String,
    /// The certificate, followed by its intermediates.
    pub cert: PemMaterial,
    /// The key of the certificate.
    pub key: PemMaterial,
    /// The treatment of client certificates.
    pub client_auth: ClientAuth,
    /// The CAs that client certificates are verified against; `None`: the system's.
    pub client_ca: Option<PemMaterial>,
    /// The revocation lists that client certificates are checked against; none: no check.
    pub client_crls: Vec<PemMaterial>,
    /// The node of `client_auth_type`, for findings about client verification.
    pub client_auth_node: NodeId,
    /// The names, one of which a client certificate must have; empty: any name.
    pub allowed_sans: Vec<String>,
    /// The oldest version.
    pub min_version: TlsVersion,
    /// The newest version.
    pub max_version: TlsVersion,
    /// The suites in the order of preference; empty: the default.
    pub cipher_suites: Vec<CipherSuite>,
    /// The node of `cipher_suites`, for findings about them.
    pub cipher_suites_node: NodeId,
    /// True if the order of the server counts.
    pub prefer_server_cipher_suites: bool,
    /// The groups for the key exchange in the order of preference; empty: the default.
    pub curves: Vec<Curve>,
    /// More certificates beside `cert`, for clients that ask for one of their names.
    pub certificates: Vec<SniCertificate>,
    /// The keys that the file has, be they empty.
    pub declared: Vec<&'static str>,
}

impl TlsConfig {
    /// Returns whether everything but certificates and keys is the same, so that clients meet the same
    /// rules.
    pub fn has_same_rules(&self, other: &Self) -> bool {
        let ca = |tls: &Self| tls.client_ca.as_ref().map(|ca| ca.pem.to_vec());
        let crls =
            |tls: &Self| -> Vec<_> { tls.client_crls.iter().map(|crl| crl.pem.clone()).collect() };
        self.client_auth == other.client_auth
            && ca(self) == ca(other)
            && crls(self) == crls(other)
            && self.allowed_sans == other.allowed_sans
            && (self.min_version, self.max_version) == (other.min_version, other.max_version)
            && self.cipher_suites == other.cipher_suites
            && self.prefer_server_cipher_suites == other.prefer_server_cipher_suites
            && self.curves == other.curves
    }
}

/// The section once it is read.
pub enum TlsSection {
    /// Nothing that turns TLS on is set.
    Off,
    /// TLS is on, and the section is good.
    On(Box<TlsConfig>),
    /// TLS is on, and the section has an error.
    Broken,
}

impl TlsSection {
    /// Returns whether nothing turns TLS on.
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Returns what is done about client certificates. Of a broken section the strictest is assumed,
    /// so that nothing else is reported because of it.
    pub fn client_auth(&self) -> ClientAuth {
        match self {
            Self::On(tls) => tls.client_auth,
            Self::Off => ClientAuth::None,
            Self::Broken => ClientAuth::RequireAndVerify,
        }
    }

    /// Returns the CAs that client certificates are verified by, where they are; within, `None` stands
    /// for the system's.
    pub fn client_ca(&self) -> Option<Option<Secret>> {
        match self {
            Self::On(tls) if tls.client_auth.verifies() => {
                Some(tls.client_ca.as_ref().map(|ca| ca.pem.clone()))
            }
            _ => None,
        }
    }

    /// Adds certificates beside the section's own. Where TLS is off they are an error that has been
    /// reported.
    pub fn with_certificates(mut self, certificates: Vec<SniCertificate>) -> Self {
        if let Self::On(tls) = &mut self {
            tls.certificates = certificates;
        }
        self
    }

    /// Returns the TLS of a good section.
    pub fn into_option(self) -> Option<TlsConfig> {
        match self {
            Self::On(tls) => Some(*tls),
            Self::Off | Self::Broken => None,
        }
    }

    /// Reads the section, and the files that it names; `http2`: whether HTTP/2 is offered.
    pub fn read(value: Value<'_>, http2: bool) -> Self {
        let section = Section::open(value, &TLS);
        let settings = Settings::read(&section);
        // `None` for a type that does not exist.
        let client_auth = match section.has(&CLIENT_AUTH_TYPE) {
            true => section.get(&CLIENT_AUTH_TYPE),
            false => Some(CLIENT_AUTH_TYPE.value_type().default()),
        };
        let pem = [(&CERT, &CERT_FILE), (&KEY, &KEY_FILE), (&CLIENT_CA, &CLIENT_CA_FILE)]
            .map(|(inline, file)| PemInput::read(&section, inline, file));
        let names_type = section.find(&CLIENT_AUTH_TYPE).and_then(Value::text);
        let names_type = names_type.is_some_and(|text| !text.as_str().is_empty());
        if !names_type && pem.iter().all(|input| matches!(input, PemInput::Absent)) {
            if !section.value().node().is_empty_mapping() && !section.value().node().is_null() {
                section.value().error(
                    "nothing in it turns TLS on; name cert_file and key_file, or write \
                     `tls_server_config: {}`",
                );
            }
            return Self::Off;
        }
        settings.check(&section, http2, client_auth);
        check_presence(&section, &pem, client_auth);
        let tls = client_auth.and_then(|auth| Self::assemble(&section, settings, pem, auth));
        tls.map_or(Self::Broken, |tls| Self::On(Box::new(tls)))
    }

    fn assemble(
        section: &Section<'_>,
        settings: Settings,
        [cert, key, client_ca]: [PemInput; 3],
        client_auth: ClientAuth,
    ) -> Option<TlsConfig> {
        let node_of = |key| section.find(key).map_or(section.value().id(), |value| value.id());
        let client_ca = match client_ca {
            PemInput::Absent => None,
            given => Some(given.into_material()?),
        };
        Some(TlsConfig {
            section: section.value().name().to_owned(),
            cert: cert.into_material()?,
            key: key.into_material()?,
            client_auth,
            client_ca,
            client_crls: client_crls(section, client_auth)?,
            client_auth_node: node_of(&CLIENT_AUTH_TYPE),
            allowed_sans: settings.allowed_sans,
            min_version: settings.min_version,
            max_version: settings.max_version,
            cipher_suites: settings.cipher_suites,
            cipher_suites_node: node_of(&CIPHER_SUITES_KEY),
            prefer_server_cipher_suites: settings.prefer_server_cipher_suites,
            curves: settings.curves,
            certificates: Vec::new(),
            declared: section.declared(),
        })
    }
}

/// Reads the revocation lists; `None` when one cannot be read.
fn client_crls(section: &Section<'_>, client_auth: ClientAuth) -> Option<Vec<PemMaterial>> {
    let text = section.get(&CLIENT_CRL).filter(|text| !text.as_str().is_empty());
    let files = section.get(&CLIENT_CRL_FILE).unwrap_or_default();
    let files = files.iter().filter(|name| !name.as_str().is_empty());
    let files: Option<Vec<_>> = files.map(PemMaterial::from_file).collect();
    let mut lists = files?;
    lists.extend(text.map(|text| PemMaterial::inline(&text)));
    if !lists.is_empty() && !client_auth.verifies() {
        section.error(
            &CLIENT_CRL_FILE,
            "client certificates are not verified; set client_auth_type to \
             VerifyClientCertIfGiven or RequireAndVerifyClientCert",
        );
    }
    Some(lists)
}

/// A certificate, key or CA as far as it could be read.
enum PemInput {
    Absent,
    Given(PemMaterial),
    /// It cannot be read, which has been reported.
    Broken,
}

impl PemInput {
    /// Reads the file, which wins over the inline text.
    fn read(section: &Section<'_>, inline: &Key<Text>, file: &Key<Text>) -> Self {
        let is_given = |text: &TextValue<'_>| !text.as_str().is_empty();
        let from_file = section.get(file).filter(is_given);
        let from_text = section.get(inline).filter(is_given);
        if let Some(name) = from_file {
            if is_pem(name.as_str()) {
                let inline = inline.name();
                name.error(format!("PEM text where a file name belongs; use `{inline}`"));
                return Self::Broken;
            }
            return PemMaterial::from_file(&name).map_or(Self::Broken, Self::Given);
        }
        from_text.map_or(Self::Absent, |text| Self::Given(PemMaterial::inline(&text)))
    }

    fn into_material(self) -> Option<PemMaterial> {
        match self {
            Self::Given(material) => Some(material),
            Self::Absent | Self::Broken => None,
        }
    }
}

fn check_presence(
    section: &Section<'_>,
    [cert, key, ca]: &[PemInput; 3],
    client_auth: Option<ClientAuth>,
) {
    if matches!(cert, PemInput::Absent) {
        section.error(&CERT_FILE, "missing: TLS needs one of cert or cert_file");
    }
    if matches!(key, PemInput::Absent) {
        section.error(&KEY_FILE, "missing: TLS needs one of key or key_file");
    }
    if !matches!(ca, PemInput::Absent) && client_auth == Some(ClientAuth::None) {
        let file = section.get(&CLIENT_CA_FILE).filter(|name| !name.as_str().is_empty());
        let key = if file.is_some() { &CLIENT_CA_FILE } else { &CLIENT_CA };
        section.error(
            key,
            "client CA's have been configured without a Client Auth Policy; add \
             client_auth_type: RequireAndVerifyClientCert",
        );
    }
}

/// The settings that do not depend on files.
struct Settings {
    allowed_sans: Vec<String>,
    min_version: TlsVersion,
    max_version: TlsVersion,
    cipher_suites: Vec<CipherSuite>,
    prefer_server_cipher_suites: bool,
    curves: Vec<Curve>,
}

impl Settings {
    fn read(section: &Section<'_>) -> Self {
        let prefer = section.get(&PREFER_SERVER_CIPHER_SUITES);
        let sans = section.get(&CLIENT_ALLOWED_SANS).unwrap_or_default();
        let version =
            |key: &Key<Choice<TlsVersion>>| section.get(key).unwrap_or(key.value_type().default());
        Self {
            allowed_sans: sans.iter().map(|name| name.as_str().to_owned()).collect(),
            min_version: version(&MIN_VERSION),
            max_version: version(&MAX_VERSION),
            cipher_suites: section.get(&CIPHER_SUITES_KEY).unwrap_or_default(),
            prefer_server_cipher_suites: prefer
                .unwrap_or(PREFER_SERVER_CIPHER_SUITES.value_type().default()),
            curves: section.get(&CURVE_PREFERENCES).unwrap_or_default(),
        }
    }

    /// Finds settings that contradict each other.
    fn check(&self, section: &Section<'_>, http2: bool, client_auth: Option<ClientAuth>) {
        let suites = &self.cipher_suites;
        if http2
            && !suites.is_empty()
            && self.min_version < TlsVersion::Tls13
            && !suites.iter().any(|suite| suite.is_http2_mandatory() && !suite.is_tls13())
        {
            section.error(
                &CIPHER_SUITES_KEY,
                "HTTP/2 needs TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or \
                 TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 in the list; add one, or set \
                 http_server_config.http2: false",
            );
        }
        if self.min_version > self.max_version {
            section.warning(&MIN_VERSION, "is above max_version: no handshake can succeed");
        }
        if self.min_version < TlsVersion::Tls12 {
            let message = "TLS 1.0 and 1.1 are deprecated (RFC 8996); TLS12 is the default";
            section.warning(&MIN_VERSION, message);
        }
        if let Some(message) = client_auth.filter(|_| !self.allowed_sans.is_empty()).and_then(gap) {
            section.warning(&CLIENT_ALLOWED_SANS, message);
        }
    }
}

/// Returns how a client gets by a list of names, which is only for certificates that are presented.
fn gap(client_auth: ClientAuth) -> Option<&'static str> {
    match client_auth {
        ClientAuth::None => Some("no certificate is asked for without a client_auth_type"),
        ClientAuth::Request | ClientAuth::VerifyIfGiven => Some(
            "a client without a certificate passes; to have every client checked, set \
             client_auth_type: RequireAndVerifyClientCert",
        ),
        ClientAuth::RequireAny => Some(
            "certificates that nobody signed can hold any name; to have them verified, set \
             client_auth_type: RequireAndVerifyClientCert",
        ),
        ClientAuth::RequireAndVerify => None,
    }
}
