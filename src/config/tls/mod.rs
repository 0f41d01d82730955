//! `tls_server_config`: names and files to typed values. The PEM itself is read by
//! [`crate::tls::material`].

mod names;

use std::path::PathBuf;

pub use self::names::{CipherSuite, ClientAuth, ClientCertificate, Curve, TlsVersion};

use super::document::NodePath;
use super::findings::Problems;
use super::node::{Node, Section};
use super::proxy::SniCertificate;
use super::secret::{Secret, is_pem, presentable};
use super::sources::ConfigFiles;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// Where the file has it, for messages.
    pub place: String,
    pub cert: PemMaterial,
    pub key: PemMaterial,
    pub client_auth: ClientAuth,
    pub client_ca: Option<PemMaterial>,
    /// Where `client_auth_type` stands, for findings about client verification.
    pub client_auth_path: NodePath,
    /// Empty: every name passes.
    pub allowed_sans: Vec<String>,
    pub min_version: TlsVersion,
    pub max_version: TlsVersion,
    /// Empty: the default.
    pub cipher_suites: Vec<CipherSuite>,
    pub cipher_suites_path: NodePath,
    pub prefer_server_cipher_suites: bool,
    /// Empty: the default.
    pub curves: Vec<Curve>,
    /// Beside `cert`, for clients that ask for one of their names.
    pub certificates: Vec<SniCertificate>,
    /// The keys that the file has, be they empty.
    pub declared: Vec<&'static str>,
}

/// PEM text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemMaterial {
    pub pem: Secret,
    /// `None`: inline.
    pub file: Option<PathBuf>,
    /// Where it was given, such as `tls_server_config.cert_file`, for messages.
    pub place: String,
    pub path: NodePath,
}

/// The section after validation.
pub(in crate::config) enum Outcome {
    /// Nothing that turns TLS on is set.
    Off,
    On(Box<TlsConfig>),
    Broken,
}

impl Outcome {
    pub fn is_off(&self) -> bool {
        matches!(self, Self::Off)
    }

    /// Of a section that is broken nothing more is said.
    pub fn client_auth(&self) -> ClientAuth {
        match self {
            Self::On(tls) => tls.client_auth,
            Self::Off => ClientAuth::None,
            Self::Broken => ClientAuth::RequireAndVerify,
        }
    }

    /// Beside its own. Where TLS is off they are in vain, and somebody has said so.
    pub fn with_certificates(mut self, certificates: Vec<SniCertificate>) -> Self {
        if let Self::On(tls) = &mut self {
            tls.certificates = certificates;
        }
        self
    }

    pub fn into_option(self) -> Option<TlsConfig> {
        match self {
            Self::On(tls) => Some(*tls),
            Self::Off | Self::Broken => None,
        }
    }
}

const KEYS: [&str; 13] = [
    "cert",
    "cert_file",
    "key",
    "key_file",
    "client_ca",
    "client_ca_file",
    "client_auth_type",
    "client_allowed_sans",
    "min_version",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];

const CLIENT_AUTH_TYPES: &str = "NoClientCert, RequestClientCert, RequireAnyClientCert, \
     VerifyClientCertIfGiven or RequireAndVerifyClientCert";

/// A certificate, key or CA as far as it could be read.
enum Read {
    Absent,
    Given(PemMaterial),
    /// Already reported.
    Broken,
}

impl TlsConfig {
    /// `name`: of the section, for messages.
    pub(in crate::config) fn validate(
        node: Option<&Node>,
        name: &str,
        http2: bool,
        sources: &mut ConfigFiles,
        problems: &mut Problems,
    ) -> Outcome {
        let Some(node) = node else { return Outcome::Off };
        let section = node.section(name, &KEYS, problems);
        let mut reader = Reader { node, name, section, sources, problems };
        let policy = reader.policy();
        let (client_auth, client_auth_path) = reader.client_auth();
        let materials =
            [("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")]
                .map(|(inline, file)| reader.material(inline, file));
        let nothing_given = materials.iter().all(|material| matches!(material, Read::Absent));
        if nothing_given && !reader.is_given("client_auth_type") {
            return Outcome::Off;
        }
        reader.check_policy(&policy, http2, client_auth);
        let [cert, key, client_ca] = materials;
        reader.check_presence(&cert, &key, &client_ca, client_auth);
        let (Read::Given(cert), Read::Given(key), Some(client_auth)) = (cert, key, client_auth)
        else {
            return Outcome::Broken;
        };
        let client_ca = match client_ca {
            Read::Absent => None,
            Read::Given(material) => Some(material),
            Read::Broken => return Outcome::Broken,
        };
        Outcome::On(Box::new(Self {
            place: name.to_owned(),
            cert,
            key,
            client_auth,
            client_ca,
            client_auth_path,
            allowed_sans: policy.allowed_sans,
            min_version: policy.min_version,
            max_version: policy.max_version,
            cipher_suites: policy.cipher_suites,
            cipher_suites_path: policy.cipher_suites_path,
            prefer_server_cipher_suites: policy.prefer_server_cipher_suites,
            curves: policy.curves,
            certificates: Vec::new(),
            declared: KEYS.into_iter().filter(|key| node.has(key)).collect(),
        }))
    }

    /// Everything but certificate and key, to tell whether a reload changed the rules.
    pub fn has_same_rules(&self, other: &Self) -> bool {
        let ca = |tls: &Self| tls.client_ca.as_ref().map(|ca| ca.pem.to_vec());
        self.client_auth == other.client_auth
            && ca(self) == ca(other)
            && self.allowed_sans == other.allowed_sans
            && (self.min_version, self.max_version) == (other.min_version, other.max_version)
            && self.cipher_suites == other.cipher_suites
            && self.prefer_server_cipher_suites == other.prefer_server_cipher_suites
            && self.curves == other.curves
    }
}

/// What does not depend on files.
struct Policy {
    allowed_sans: Vec<String>,
    min_version: TlsVersion,
    max_version: TlsVersion,
    cipher_suites: Vec<CipherSuite>,
    cipher_suites_path: NodePath,
    prefer_server_cipher_suites: bool,
    curves: Vec<Curve>,
}

struct Reader<'n, 'm> {
    node: &'n Node,
    /// Of the section, for messages.
    name: &'m str,
    section: Section<'n>,
    sources: &'m mut ConfigFiles,
    problems: &'m mut Problems,
}

impl<'n> Reader<'n, '_> {
    fn place(&self, key: &str) -> String {
        format!("{}.{key}", self.name)
    }

    fn is_given(&mut self, key: &str) -> bool {
        self.text(key).is_some_and(|(_, text)| !text.is_empty())
    }

    fn text(&mut self, key: &str) -> Option<(&'n Node, &'n str)> {
        let node = self.section.get(key)?;
        node.string(&self.place(key), self.problems).map(|text| (node, text))
    }

    fn error(&mut self, key: &str, message: String) {
        let node = self.section.get(key).unwrap_or(self.node);
        self.problems.error(node, format!("{}: {message}", self.place(key)));
    }

    fn warning(&mut self, key: &str, message: &str) {
        let node = self.section.get(key).unwrap_or(self.node);
        self.problems.warning(node, format!("{}: {message}", self.place(key)));
    }

    /// The file wins over the inline text.
    fn material(&mut self, inline: &'static str, file: &'static str) -> Read {
        let from_file = self.text(file).filter(|(_, name)| !name.is_empty());
        let from_text = self.text(inline).filter(|(_, pem)| !pem.is_empty());
        if let Some((node, name)) = from_file {
            if is_pem(name) {
                self.error(file, format!("PEM text where a file name belongs; use `{inline}`"));
                return Read::Broken;
            }
            let path = self.sources.directory().join(name);
            return match self.sources.read(&path) {
                Ok(pem) => Read::Given(PemMaterial {
                    pem,
                    file: Some(path),
                    place: self.place(file),
                    path: node.path.clone(),
                }),
                Err(message) => {
                    self.error(file, message);
                    Read::Broken
                }
            };
        }
        match from_text {
            Some((node, pem)) => Read::Given(PemMaterial {
                pem: Secret::new(pem.as_bytes().to_vec()),
                file: None,
                place: self.place(inline),
                path: node.path.clone(),
            }),
            None => Read::Absent,
        }
    }

    /// `None` for a type that does not exist.
    fn client_auth(&mut self) -> (Option<ClientAuth>, NodePath) {
        let Some((node, text)) = self.text("client_auth_type") else {
            return (Some(ClientAuth::None), self.node.path.clone());
        };
        let client_auth = ClientAuth::parse(text);
        if client_auth.is_none() {
            self.error(
                "client_auth_type",
                format!("expected {CLIENT_AUTH_TYPES}, found {}", presentable(text)),
            );
        }
        (client_auth, node.path.clone())
    }

    fn check_presence(
        &mut self,
        cert: &Read,
        key: &Read,
        ca: &Read,
        client_auth: Option<ClientAuth>,
    ) {
        if matches!(cert, Read::Absent) {
            self.error("cert_file", "missing: TLS needs one of cert or cert_file".to_owned());
        }
        if matches!(key, Read::Absent) {
            self.error("key_file", "missing: TLS needs one of key or key_file".to_owned());
        }
        if !matches!(ca, Read::Absent) && client_auth == Some(ClientAuth::None) {
            let key = if self.is_given("client_ca_file") { "client_ca_file" } else { "client_ca" };
            let message = "client CA's have been configured without a Client Auth Policy; add \
                           client_auth_type: RequireAndVerifyClientCert";
            self.error(key, message.to_owned());
        }
    }

    fn policy(&mut self) -> Policy {
        let prefer = "prefer_server_cipher_suites";
        let place = self.place(prefer);
        let prefer = self.section.get(prefer).and_then(|node| node.boolean(&place, self.problems));
        Policy {
            allowed_sans: self.list("client_allowed_sans", "", |text| Some(text.to_owned())),
            min_version: self.version("min_version").unwrap_or(TlsVersion::Tls12),
            max_version: self.version("max_version").unwrap_or(TlsVersion::Tls13),
            cipher_suites: self.list(
                "cipher_suites",
                "a name that Go's tls.CipherSuites lists, such as TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
                CipherSuite::parse,
            ),
            cipher_suites_path: self
                .section
                .get("cipher_suites")
                .map_or_else(|| self.node.path.clone(), |node| node.path.clone()),
            prefer_server_cipher_suites: prefer.unwrap_or(true),
            curves: self.list(
                "curve_preferences",
                "CurveP256, CurveP384, CurveP521, X25519 or X25519MLKEM768",
                Curve::parse,
            ),
        }
    }

    fn version(&mut self, key: &str) -> Option<TlsVersion> {
        let (_, text) = self.text(key).filter(|(_, text)| !text.is_empty())?;
        let version = TlsVersion::parse(text);
        if version.is_none() {
            self.error(
                key,
                format!("expected TLS10, TLS11, TLS12 or TLS13, found {}", presentable(text)),
            );
        }
        version
    }

    fn list<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let Some(node) = self.section.get(key) else { return Vec::new() };
        let place = self.place(key);
        let mut values = Vec::new();
        for (item, text) in node.strings(&place, self.problems) {
            match parse(text) {
                Some(value) => values.push(value),
                None => {
                    let message =
                        format!("{place}: expected {expected}, found {}", presentable(text));
                    self.problems.error(item, message);
                }
            }
        }
        values
    }

    /// The list is only for certificates that are presented.
    fn check_names_are_asked_for(&mut self, client_auth: Option<ClientAuth>) {
        match client_auth {
            Some(ClientAuth::None) => self.warning(
                "client_allowed_sans",
                "no certificate is asked for without a client_auth_type",
            ),
            Some(ClientAuth::Request | ClientAuth::VerifyIfGiven) => self.warning(
                "client_allowed_sans",
                "a client without a certificate passes; to have every client checked, set \
                 client_auth_type: RequireAndVerifyClientCert",
            ),
            Some(ClientAuth::RequireAny) => self.warning(
                "client_allowed_sans",
                "certificates that nobody signed can hold any name; to have them verified, set \
                 client_auth_type: RequireAndVerifyClientCert",
            ),
            Some(ClientAuth::RequireAndVerify) | None => {}
        }
    }

    /// Settings that contradict each other.
    fn check_policy(&mut self, policy: &Policy, http2: bool, client_auth: Option<ClientAuth>) {
        let suites = &policy.cipher_suites;
        if http2
            && !suites.is_empty()
            && policy.min_version < TlsVersion::Tls13
            && !suites.iter().any(|suite| suite.is_http2_mandatory() && !suite.is_tls13())
        {
            let message = "HTTP/2 needs TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 or \
                           TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 in the list; add one, or set \
                           http_server_config.http2: false";
            self.error("cipher_suites", message.to_owned());
        }
        if policy.min_version > policy.max_version {
            self.warning("min_version", "is above max_version: no handshake can succeed");
        }
        if policy.min_version < TlsVersion::Tls12 {
            self.warning(
                "min_version",
                "TLS 1.0 and 1.1 are deprecated (RFC 8996); TLS12 is the default",
            );
        }
        if !policy.allowed_sans.is_empty() {
            self.check_names_are_asked_for(client_auth);
        }
    }
}
