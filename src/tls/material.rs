//! Reads certificates and keys from PEM text. Material that cannot work is an error; material that
//! soon will not work is a warning.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::{X509, X509Ref};
use sha2::{Digest, Sha256};

use super::revocation::{RevocationCheck, RevocationLists};
use crate::config::routes::UpstreamTls;
use crate::config::{Findings, PemMaterial, Severity, SniCertificate, TlsConfig, TlsVersion};

/// The number of days before its end from which a certificate draws a warning, since it should have
/// been renewed by then: Let's Encrypt's clients renew with 30 days left, Kubernetes' cert-manager
/// with a third of the lifetime left.
const EXPIRES_SOON_DAYS: u32 = 14;

/// A certificate and its key.
pub struct CertifiedKey {
    /// The certificate of the key.
    pub leaf: X509,
    /// The certificates that are sent after the leaf, in the order of the file.
    pub chain: Vec<X509>,
    /// The private key.
    pub key: PKey<Private>,
}

impl CertifiedKey {
    fn read(cert: &PemMaterial, key: &PemMaterial, findings: &mut Findings) -> Option<Self> {
        let certificates = certificates(cert, findings);
        let private_key = private_key(key, findings);
        let (leaf, chain) = certificates?;
        let private_key = private_key?;
        if !leaf.public_key().is_ok_and(|public| public.public_eq(&private_key)) {
            error(key, "the key does not belong to the certificate", findings);
            return None;
        }
        Some(Self { leaf, chain, key: private_key })
    }

    /// Returns the DNS names of the certificate, in lower case.
    pub fn names(&self) -> Vec<String> {
        let names = self.leaf.subject_alt_names();
        let names = names.iter().flatten().filter_map(|name| name.dnsname());
        names.map(str::to_ascii_lowercase).collect()
    }
}

/// The certificates and keys of a listener, and its CAs for client certificates.
pub struct ServerMaterial {
    /// The default certificate, that of `cert_file`.
    pub pair: CertifiedKey,
    /// The certificates for clients that ask for one of their names.
    pub others: Vec<CertifiedKey>,
    /// The CAs for client certificates; empty if the file names none.
    pub client_cas: Vec<X509>,
    /// The revocation lists of these CAs; none: no check.
    pub client_crls: RevocationLists,
}

impl ServerMaterial {
    /// Reads the material of a listener, and adds its problems to `findings`; `None` if one of them
    /// is an error.
    pub fn read(tls: &TlsConfig, findings: &mut Findings) -> Option<Self> {
        let pair = CertifiedKey::read(&tls.cert, &tls.key, findings);
        let others: Vec<Option<CertifiedKey>> =
            tls.certificates.iter().map(|other| Self::read_other(other, findings)).collect();
        let client_cas = match &tls.client_ca {
            None => Some(Vec::new()),
            Some(material) => client_cas(material, findings),
        };
        let pair = pair?;
        warn_about_leaf(&tls.cert, &pair.leaf, findings);
        warn_about_rules(tls, &pair.leaf, findings);
        let others = others.into_iter().collect::<Option<_>>()?;
        let client_cas = client_cas?;
        let client_crls = RevocationLists::read(&tls.client_crls, &client_cas, findings)?;
        Some(Self { pair, others, client_cas, client_crls })
    }

    fn read_other(certificate: &SniCertificate, findings: &mut Findings) -> Option<CertifiedKey> {
        let pair = CertifiedKey::read(&certificate.cert, &certificate.key, findings)?;
        warn_about_leaf(&certificate.cert, &pair.leaf, findings);
        if pair.names().is_empty() {
            let message = "the certificate has no DNS name that a client could ask for";
            error(&certificate.cert, message, findings);
            return None;
        }
        Some(pair)
    }

    /// Returns the leaf certificates, that of `cert_file` first.
    pub fn leaves(&self) -> impl Iterator<Item = &X509> {
        std::iter::once(&self.pair).chain(&self.others).map(|pair| &pair.leaf)
    }
}

/// The CAs that verify an exporter with TLS, and the client certificate that the guard shows to it.
pub struct UpstreamMaterial {
    /// The CAs that the exporter's certificate has to lead to.
    pub ca: Vec<X509>,
    /// The revocation lists of these CAs; `None`: no check.
    pub revocation: Option<Arc<RevocationCheck>>,
    /// The client certificate, followed by those that lead to its CA, and its key; `None`: the
    /// guard shows no certificate.
    pub client: Option<(Vec<X509>, PKey<Private>)>,
    /// The first 64 bits of the SHA-256 of the PEM texts, which identify the material.
    pub digest: u64,
}

impl UpstreamMaterial {
    /// Reads the material for an upstream, and adds its problems to `findings`; `None` if one of
    /// them is an error.
    pub fn read(tls: &UpstreamTls, findings: &mut Findings) -> Option<Self> {
        let ca = X509::stack_from_pem(&tls.ca.pem).unwrap_or_default();
        if ca.is_empty() {
            error(&tls.ca, "no PEM certificate in it that could verify the exporter", findings);
            return None;
        }
        if ca.iter().any(|ca| is_past(ca.not_after())) {
            warn(
                &tls.ca,
                "a CA certificate has expired: exporters it signed are refused",
                findings,
            );
        }
        let crls = RevocationLists::read(&tls.crls, &ca, findings)?;
        let mut hasher = Sha256::new();
        hasher.update(&*tls.ca.pem);
        crls.update(&mut hasher);
        let revocation = match RevocationCheck::new(&ca, crls).transpose() {
            Ok(check) => check.map(Arc::new),
            Err(cause) => {
                error(&tls.ca, &format!("OpenSSL refuses this: {cause}"), findings);
                return None;
            }
        };
        let mut client = None;
        if let Some((cert, key_material)) = &tls.client {
            hasher.update(&*cert.pem);
            hasher.update(&*key_material.pem);
            let CertifiedKey { leaf, chain, key } =
                CertifiedKey::read(cert, key_material, findings)?;
            client = Some(([vec![leaf], chain].concat(), key));
        }
        let digest: [u8; 32] = hasher.finalize().into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        Some(Self { ca, revocation, client, digest: u64::from_le_bytes(first) })
    }
}

fn error(material: &PemMaterial, message: &str, findings: &mut Findings) {
    report(material, Severity::Error, message, findings);
}

fn warn(material: &PemMaterial, message: &str, findings: &mut Findings) {
    report(material, Severity::Warning, message, findings);
}

/// Adds a finding about a material, with the key that gives it and its file.
pub(super) fn report(
    material: &PemMaterial,
    severity: Severity,
    message: &str,
    findings: &mut Findings,
) {
    let file =
        material.file.as_ref().map(|file| format!(" {}:", file.display())).unwrap_or_default();
    let message = format!("{}:{file} {message}", material.setting);
    findings.push(material.node, severity, message);
}

/// Reads a leaf certificate and the chain after it.
fn certificates(material: &PemMaterial, findings: &mut Findings) -> Option<(X509, Vec<X509>)> {
    let mut chain = match X509::stack_from_pem(&material.pem) {
        Ok(chain) => chain,
        Err(_) => {
            error(material, "a certificate in it cannot be parsed", findings);
            return None;
        }
    };
    if chain.is_empty() {
        error(material, "no PEM certificate in it (-----BEGIN CERTIFICATE-----)", findings);
        return None;
    }
    let leaf = chain.remove(0);
    Some((leaf, chain))
}

/// Reads a private key as Go's `tls.X509KeyPair` does: RSA, ECDSA or Ed25519 in PKCS#1, PKCS#8 or
/// SEC1.
fn private_key(material: &PemMaterial, findings: &mut Findings) -> Option<PKey<Private>> {
    warn_about_key_file(material, findings);
    // Without a callback, OpenSSL asks for the passphrase on the terminal.
    let mut is_encrypted = false;
    let key = PKey::private_key_from_pem_callback(&material.pem, |_| {
        is_encrypted = true;
        Ok(0)
    });
    let message = match key {
        Ok(key) if matches!(key.id(), Id::RSA | Id::EC | Id::ED25519) => return Some(key),
        Ok(_) => "this type of key is not supported; use ECDSA, RSA or Ed25519",
        Err(_) if is_encrypted => {
            "the key is encrypted; decrypt it with `openssl pkey -in KEY -out PLAINKEY` and \
             guard the file"
        }
        Err(_) => "no PEM private key in it (-----BEGIN PRIVATE KEY-----)",
    };
    error(material, message, findings);
    None
}

fn warn_about_key_file(material: &PemMaterial, findings: &mut Findings) {
    const MODE_OTHERS: u32 = 0o007;
    let Some(file) = &material.file else { return };
    let is_open_to_others =
        std::fs::metadata(file).is_ok_and(|data| data.permissions().mode() & MODE_OTHERS != 0);
    if is_open_to_others {
        warn(material, "the key can be read by every user of this host; chmod 0600", findings);
    }
}

/// Reads the CAs for client certificates. Go refuses a file without any, too, but takes those that
/// parse from a file with some that do not, which is an error here.
fn client_cas(material: &PemMaterial, findings: &mut Findings) -> Option<Vec<X509>> {
    let cas = X509::stack_from_pem(&material.pem).unwrap_or_default();
    if cas.is_empty() {
        error(material, "no PEM certificate in it that could verify clients", findings);
        return None;
    }
    if !cas.iter().any(is_ca) {
        warn(
            material,
            "none of the certificates is a CA: only clients with these very certificates pass",
            findings,
        );
    }
    if cas.iter().any(|ca| is_past(ca.not_after())) {
        warn(material, "a CA certificate has expired: clients it signed are refused", findings);
    }
    Some(cas)
}

fn is_ca(certificate: &X509) -> bool {
    // The openssl crate shows basicConstraints only in the text form.
    certificate.to_text().is_ok_and(|text| String::from_utf8_lossy(&text).contains("CA:TRUE"))
}

fn warn_about_leaf(material: &PemMaterial, leaf: &X509Ref, findings: &mut Findings) {
    if is_past(leaf.not_after()) {
        let message = format!("the certificate expired on {}", leaf.not_after());
        warn(material, &message, findings);
    } else if Asn1Time::days_from_now(EXPIRES_SOON_DAYS).is_ok_and(|soon| *leaf.not_after() < soon)
    {
        let message = format!("the certificate expires soon, on {}", leaf.not_after());
        warn(material, &message, findings);
    }
    if Asn1Time::days_from_now(0).is_ok_and(|now| *leaf.not_before() > now) {
        let message = format!("the certificate is not valid before {}", leaf.not_before());
        warn(material, &message, findings);
    }
    if leaf.subject_alt_names().is_none() {
        warn(
            material,
            "the certificate has no subject alternative name: Prometheus and browsers refuse it",
            findings,
        );
    }
}

fn is_past(time: &Asn1TimeRef) -> bool {
    Asn1Time::days_from_now(0).is_ok_and(|now| *time < now)
}

/// Warns about settings that cannot work with this certificate or that protect less than they seem
/// to.
fn warn_about_rules(tls: &TlsConfig, leaf: &X509Ref, findings: &mut Findings) {
    if tls.client_auth.verifies() && tls.client_ca.is_none() {
        let message = format!(
            "{}.client_auth_type: without client_ca_file every certificate of the system's public \
             CAs passes",
            tls.section
        );
        findings.push(tls.client_auth_node, Severity::Warning, message);
    }
    let is_rsa = leaf.public_key().is_ok_and(|key| key.id() == Id::RSA);
    let mut tls12 = tls.cipher_suites.iter().filter(|suite| !suite.is_tls13()).peekable();
    let is_unusable = tls12.peek().is_some()
        && tls12.all(|suite| if is_rsa { suite.needs_ecdsa() } else { suite.needs_rsa() });
    if is_unusable && tls.min_version < TlsVersion::Tls13 {
        let message = format!(
            "{}.cipher_suites: none works with the certificate's type of key, so no TLS 1.2 \
             handshake can succeed",
            tls.section
        );
        findings.push(tls.cipher_suites_node, Severity::Warning, message);
    }
}
