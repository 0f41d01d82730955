//! Certificates and keys as the file names them: PEM text that is read, and not yet parsed.

use std::path::PathBuf;

use crate::config::files::Secret;
use crate::config::keys::proxy::{
    CERTIFICATES, CERTIFICATES_CERT_FILE, CERTIFICATES_KEY, CERTIFICATES_KEY_FILE,
};
use crate::config::keys::{Section, TextValue, Value};
use crate::config::yaml::NodeId;

/// PEM text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemMaterial {
    /// The text.
    pub pem: Secret,
    /// The file that it was read from; `None`: it stands in the web configuration.
    pub file: Option<PathBuf>,
    /// The name of the key that gives it, such as `tls_server_config.cert_file`, for messages.
    pub setting: String,
    /// The node that gives it.
    pub node: NodeId,
}

/// A certificate that is chosen by its names (SNI, RFC 6066 section 3), with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SniCertificate {
    /// The certificate, followed by its intermediates.
    pub cert: PemMaterial,
    /// The key of the certificate.
    pub key: PemMaterial,
}

impl PemMaterial {
    /// Takes the text that stands in the web configuration.
    pub fn inline(text: &TextValue<'_>) -> Self {
        Self {
            pem: Secret::new(text.as_str().as_bytes().to_vec()),
            file: None,
            setting: text.name().to_owned(),
            node: text.id(),
        }
    }

    /// Reads the file of this name; `None` when it cannot be read, which is an error.
    pub fn from_file(name: &TextValue<'_>) -> Option<Self> {
        let path = name.to_path();
        let pem = name.read_file(&path)?;
        Some(Self { pem, file: Some(path), setting: name.name().to_owned(), node: name.id() })
    }
}

impl SniCertificate {
    /// Reads `certificates` of the section `proxy` or of a listener, whose TLS may be off.
    pub fn read_all(section: &Section<'_>, tls_is_off: bool) -> Vec<Self> {
        if section.has(&CERTIFICATES_KEY) && tls_is_off {
            section.error(&CERTIFICATES_KEY, "without tls_server_config there is no TLS");
        }
        let items = section.get(&CERTIFICATES_KEY).unwrap_or_default();
        items.into_iter().filter_map(Self::read).collect()
    }

    fn read(item: Value<'_>) -> Option<Self> {
        let section = Section::open(item, &CERTIFICATES);
        for key in CERTIFICATES.keys() {
            if !section.has(key) {
                section.error(key, "missing");
            }
        }
        let cert = section.get(&CERTIFICATES_CERT_FILE);
        let cert = cert.and_then(|name| PemMaterial::from_file(&name));
        let key = section.get(&CERTIFICATES_KEY_FILE);
        let key = key.and_then(|name| PemMaterial::from_file(&name));
        Some(Self { cert: cert?, key: key? })
    }
}
