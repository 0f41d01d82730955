//! `certificates`: more of them than the one of a `tls_server_config`, chosen by the name that a client
//! asks for (SNI, RFC 6066 section 3).

use super::files::Files;
use crate::config::PemMaterial;
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node};
use crate::config::sources::ConfigFiles;
use crate::config::tls::Outcome;

const KEYS: [&str; 2] = ["cert_file", "key_file"];

/// Read, not yet parsed. Its names are those of the certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SniCertificate {
    pub cert: PemMaterial,
    pub key: PemMaterial,
}

/// `tls`: what they are certificates of.
pub fn validate(
    node: Option<&Node>,
    tls: &Outcome,
    place: &str,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Vec<SniCertificate> {
    let Some(node) = node else { return Vec::new() };
    if tls.is_off() {
        problems.error(node, format!("{place}: without tls_server_config there is no TLS"));
    }
    let Kind::Sequence(items) = &node.kind else {
        problems.error(node, format!("{place}: expected a list of cert_file and key_file"));
        return Vec::new();
    };
    let mut certificates = Vec::new();
    for item in items {
        let section = item.section(place, &KEYS, problems);
        for key in KEYS {
            if section.get(key).is_none() {
                problems.error(item, format!("{place}.{key}: missing"));
            }
        }
        let mut files = Files { section: &section, place, sources, problems };
        let pair = (files.read("cert_file"), files.read("key_file"));
        if let (Some(cert), Some(key)) = pair {
            certificates.push(SniCertificate { cert, key });
        }
    }
    certificates
}
