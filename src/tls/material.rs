//! Certificates and keys out of PEM text: what cannot work is an error, what soon will not is a
//! warning.

use std::os::unix::fs::PermissionsExt;

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::{X509, X509Ref};
use sha2::{Digest, Sha256};

use crate::config::routes::UpstreamTls;
use crate::config::{Findings, PemMaterial, Severity, SniCertificate, TlsConfig, TlsVersion};

/// A certificate that ends this soon should have been renewed: Let's Encrypt's renew with 30 days
/// left, Kubernetes' cert-manager with a third of the lifetime.
const EXPIRES_SOON_DAYS: u32 = 14;

/// A certificate and its key.
pub struct CertifiedKey {
    pub leaf: X509,
    /// Sent after the leaf, in the order of the file.
    pub chain: Vec<X509>,
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

    /// The DNS names that it is for, in lower case.
    pub fn names(&self) -> Vec<String> {
        let names = self.leaf.subject_alt_names();
        let names = names.iter().flatten().filter_map(|name| name.dnsname());
        names.map(str::to_ascii_lowercase).collect()
    }
}

/// The server's certificates and keys, and the CAs for clients.
pub struct ServerMaterial {
    pub pair: CertifiedKey,
    /// For clients that ask for one of their names.
    pub others: Vec<CertifiedKey>,
    pub client_cas: Vec<X509>,
}

impl ServerMaterial {
    /// `None` when there is an error among the findings.
    pub fn read(tls: &TlsConfig, findings: &mut Findings) -> Option<Self> {
        let pair = CertifiedKey::read(&tls.cert, &tls.key, findings);
        let others: Vec<Option<CertifiedKey>> =
            tls.certificates.iter().map(|other| Self::other(other, findings)).collect();
        let client_cas = match &tls.client_ca {
            None => Some(Vec::new()),
            Some(material) => client_cas(material, findings),
        };
        let pair = pair?;
        warn_about_leaf(&tls.cert, &pair.leaf, findings);
        warn_about_rules(tls, &pair.leaf, findings);
        let others = others.into_iter().collect::<Option<_>>()?;
        Some(Self { pair, others, client_cas: client_cas? })
    }

    fn other(certificate: &SniCertificate, findings: &mut Findings) -> Option<CertifiedKey> {
        let pair = CertifiedKey::read(&certificate.cert, &certificate.key, findings)?;
        warn_about_leaf(&certificate.cert, &pair.leaf, findings);
        if pair.names().is_empty() {
            let message = "the certificate has no DNS name that a client could ask for";
            error(&certificate.cert, message, findings);
            return None;
        }
        Some(pair)
    }

    /// That of `cert_file` first.
    pub fn leaves(&self) -> impl Iterator<Item = &X509> {
        std::iter::once(&self.pair).chain(&self.others).map(|pair| &pair.leaf)
    }
}

/// Who an exporter with TLS has to be, and who the guard is to it.
pub struct UpstreamMaterial {
    pub ca: Vec<X509>,
    /// With what leads to its CA after it.
    pub client: Option<(Vec<X509>, PKey<Private>)>,
    /// Tells one from another.
    pub digest: u64,
}

impl UpstreamMaterial {
    /// `None` when there is an error among the findings.
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
        let mut hasher = Sha256::new();
        hasher.update(&*tls.ca.pem);
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
        Some(Self { ca, client, digest: u64::from_le_bytes(first) })
    }
}

fn error(material: &PemMaterial, message: &str, findings: &mut Findings) {
    report(material, Severity::Error, message, findings);
}

fn warn(material: &PemMaterial, message: &str, findings: &mut Findings) {
    report(material, Severity::Warning, message, findings);
}

fn report(material: &PemMaterial, severity: Severity, message: &str, findings: &mut Findings) {
    let file =
        material.file.as_ref().map(|file| format!(" {}:", file.display())).unwrap_or_default();
    let message = format!("{}:{file} {message}", material.place);
    findings.push(material.node, severity, message);
}

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

/// PKCS#1, PKCS#8 and SEC1, RSA, ECDSA and Ed25519, as Go's `tls.X509KeyPair`.
fn private_key(material: &PemMaterial, findings: &mut Findings) -> Option<PKey<Private>> {
    warn_about_key_file(material, findings);
    // Without a callback OpenSSL would ask for the passphrase on the terminal.
    let mut encrypted = false;
    let key = PKey::private_key_from_pem_callback(&material.pem, |_| {
        encrypted = true;
        Ok(0)
    });
    let message = match key {
        Ok(key) if matches!(key.id(), Id::RSA | Id::EC | Id::ED25519) => return Some(key),
        Ok(_) => "this type of key is not supported; use ECDSA, RSA or Ed25519",
        Err(_) if encrypted => {
            "the key is encrypted; decrypt it with `openssl pkey -in KEY -out PLAINKEY` and guard the file"
        }
        Err(_) => "no PEM private key in it (-----BEGIN PRIVATE KEY-----)",
    };
    error(material, message, findings);
    None
}

fn warn_about_key_file(material: &PemMaterial, findings: &mut Findings) {
    const OTHERS: u32 = 0o007;
    let Some(file) = &material.file else { return };
    let readable =
        std::fs::metadata(file).is_ok_and(|data| data.permissions().mode() & OTHERS != 0);
    if readable {
        warn(material, "the key can be read by every user of this host; chmod 0600", findings);
    }
}

/// Go takes the certificates that parse and refuses a file without any.
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
    // The text form is the one way that the openssl crate shows basicConstraints.
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

/// Settings that cannot work with this certificate, or that mean less than they seem to.
fn warn_about_rules(tls: &TlsConfig, leaf: &X509Ref, findings: &mut Findings) {
    if tls.client_auth.verifies() && tls.client_ca.is_none() {
        let message = format!(
            "{}.client_auth_type: without client_ca_file every certificate of the system's public \
             CAs passes",
            tls.place
        );
        findings.push(tls.client_auth_node, Severity::Warning, message);
    }
    let is_rsa = leaf.public_key().is_ok_and(|key| key.id() == Id::RSA);
    let mut tls12 = tls.cipher_suites.iter().filter(|suite| !suite.is_tls13()).peekable();
    let unusable = tls12.peek().is_some()
        && tls12.all(|suite| if is_rsa { suite.needs_ecdsa() } else { suite.needs_rsa() });
    if unusable && tls.min_version < TlsVersion::Tls13 {
        let message = format!(
            "{}.cipher_suites: none works with the certificate's type of key, so no TLS 1.2 handshake \
             can succeed",
            tls.place
        );
        findings.push(tls.cipher_suites_node, Severity::Warning, message);
    }
}
