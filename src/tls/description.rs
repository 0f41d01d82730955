//! Describes certificates and revocation lists for the metrics and the status page.

use openssl::x509::{X509NameRef, X509Ref};

use super::expiry::unix_seconds;
use super::material::{ServerMaterial, UpstreamMaterial};
use super::revocation::RevocationList;
use crate::observe::metrics::{Certificate, CertificateUse, RevocationEntry};

impl ServerMaterial {
    /// Describes the certificates of a listener.
    pub fn describe(&self) -> impl Iterator<Item = Certificate> {
        let leaves = self.leaves().map(|leaf| describe(CertificateUse::Server, leaf));
        let cas = self.client_cas.iter().map(|ca| describe(CertificateUse::ClientCa, ca));
        leaves.chain(cas)
    }

    /// Describes the revocation lists of a listener's clients.
    pub fn describe_lists(&self) -> impl Iterator<Item = RevocationEntry> {
        self.client_crls.iter().filter_map(|list| describe_list(CertificateUse::ClientCa, list))
    }
}

impl UpstreamMaterial {
    /// Describes the certificates for an exporter.
    pub fn describe(&self) -> impl Iterator<Item = Certificate> {
        let client = self.client.iter().filter_map(|(chain, _)| chain.first());
        let client = client.map(|leaf| describe(CertificateUse::UpstreamClient, leaf));
        self.ca.iter().map(|ca| describe(CertificateUse::UpstreamCa, ca)).chain(client)
    }

    /// Describes the revocation lists of an exporter's CAs.
    pub fn describe_lists(&self) -> impl Iterator<Item = RevocationEntry> {
        let lists = self.revocation.iter().flat_map(|check| check.lists().iter());
        lists.filter_map(|list| describe_list(CertificateUse::UpstreamCa, list))
    }
}

fn describe_list(usage: CertificateUse, list: &RevocationList) -> Option<RevocationEntry> {
    let next_update = list.next_update?.unix_seconds;
    Some(RevocationEntry { usage, issuer: subject(list.issuer()), next_update })
}

fn describe(usage: CertificateUse, certificate: &X509Ref) -> Certificate {
    let serial = certificate.serial_number().to_bn().and_then(|number| number.to_hex_str());
    Certificate {
        usage,
        subject: subject(certificate.subject_name()),
        serial: serial.map(|digits| digits.to_lowercase()).unwrap_or_default(),
        not_before: unix_seconds(certificate.not_before()),
        not_after: unix_seconds(certificate.not_after()),
    }
}

/// Formats a name as `O=example,CN=node1`, in the order of the certificate.
fn subject(name: &X509NameRef) -> String {
    let parts = name.entries().filter_map(|entry| {
        let key = entry.object().nid().short_name().ok()?;
        Some(format!("{key}={}", entry.data().to_string().ok()?))
    });
    parts.collect::<Vec<_>>().join(",")
}
