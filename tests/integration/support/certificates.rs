//! Certificate authorities and certificates, made fresh for each test.

use std::net::IpAddr;

use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
    SubjectKeyIdentifier,
};
use openssl::x509::{
    X509, X509Builder, X509Crl, X509CrlBuilder, X509Extension, X509Name, X509NameBuilder,
    X509RevokedBuilder,
};

const DAY: i64 = 24 * 60 * 60;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Ecdsa,
    Rsa,
    Ed25519,
}

impl KeyKind {
    pub fn generate(self) -> PKey<Private> {
        match self {
            Self::Ecdsa => {
                let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
                PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
            }
            Self::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
            Self::Ed25519 => PKey::generate_ed25519().unwrap(),
        }
    }
}

#[derive(Clone, Debug)]
pub enum San {
    Dns(&'static str),
    Email(&'static str),
    Ip(IpAddr),
    Uri(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Server,
    Client,
}

/// What a certificate is to say.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub name: &'static str,
    pub sans: Vec<San>,
    pub usage: Usage,
    /// Seconds from now.
    pub valid: (i64, i64),
    pub key: KeyKind,
}

impl Leaf {
    /// For this host.
    pub fn server() -> Self {
        let sans = vec![San::Dns("localhost"), San::Ip([127, 0, 0, 1].into())];
        Self {
            name: "localhost",
            sans,
            usage: Usage::Server,
            valid: (-DAY, 90 * DAY),
            key: KeyKind::Ecdsa,
        }
    }

    pub fn client() -> Self {
        Self { name: "client", sans: Vec::new(), usage: Usage::Client, ..Self::server() }
    }

    pub fn key(self, key: KeyKind) -> Self {
        Self { key, ..self }
    }

    pub fn valid(self, from_days: i64, to_days: i64) -> Self {
        Self { valid: (from_days * DAY, to_days * DAY), ..self }
    }

    /// A certificate whose validity ends so soon.
    pub fn ends_in(self, seconds: i64) -> Self {
        Self { valid: (-DAY, seconds), ..self }
    }

    pub fn sans(self, sans: &[San]) -> Self {
        Self { sans: sans.to_vec(), ..self }
    }

    /// Signed by its own key.
    pub fn self_signed(&self) -> Identity {
        let key = self.key.generate();
        let name = name(self.name);
        let cert = sign(self.builder(&key, &name), None, &key);
        Identity { cert, key, chain: Vec::new() }
    }

    fn builder(&self, key: &PKey<Private>, issuer: &X509Name) -> X509Builder {
        let mut builder = start(self.name, issuer, key, self.valid);
        let mut usage = ExtendedKeyUsage::new();
        match self.usage {
            Usage::Server => usage.server_auth(),
            Usage::Client => usage.client_auth(),
        };
        builder.append_extension(usage.build().unwrap()).unwrap();
        let usage = KeyUsage::new().critical().digital_signature().build().unwrap();
        builder.append_extension(usage).unwrap();
        if !self.sans.is_empty() {
            let mut names = SubjectAlternativeName::new();
            for san in &self.sans {
                match san {
                    San::Dns(name) => names.dns(name),
                    San::Email(name) => names.email(name),
                    San::Uri(name) => names.uri(name),
                    San::Ip(ip) => names.ip(&ip.to_string()),
                };
            }
            let names = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        builder
    }
}

/// A certificate with its key and the certificates to send along.
#[derive(Clone)]
pub struct Identity {
    pub cert: X509,
    pub key: PKey<Private>,
    pub chain: Vec<X509>,
}

impl Identity {
    /// The leaf, then the chain.
    pub fn chain_pem(&self) -> String {
        std::iter::once(&self.cert).chain(&self.chain).map(pem).collect()
    }

    /// PKCS#8.
    pub fn key_pem(&self) -> String {
        text(self.key.private_key_to_pem_pkcs8().unwrap())
    }

    /// `BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY`.
    pub fn traditional_key_pem(&self) -> String {
        text(match self.key.id() {
            Id::RSA => self.key.rsa().unwrap().private_key_to_pem().unwrap(),
            _ => self.key.ec_key().unwrap().private_key_to_pem().unwrap(),
        })
    }
}

pub struct Authority {
    pub cert: X509,
    key: PKey<Private>,
    /// Up to, and without, the root.
    chain: Vec<X509>,
}

impl Authority {
    pub fn new(subject: &str) -> Self {
        let key = KeyKind::Ecdsa.generate();
        let cert = sign(authority(subject, &name(subject), &key, 365 * DAY), None, &key);
        Self { cert, key, chain: Vec::new() }
    }

    pub fn intermediate(&self, subject: &str) -> Self {
        self.intermediate_that_ends_in(subject, 365 * DAY)
    }

    /// An intermediate whose validity ends in so many seconds.
    pub fn intermediate_that_ends_in(&self, subject: &str, seconds: i64) -> Self {
        let key = KeyKind::Ecdsa.generate();
        let issuer = self.cert.subject_name().to_owned().unwrap();
        let builder = authority(subject, &issuer, &key, seconds);
        let cert = sign(builder, Some(&self.cert), &self.key);
        let chain = std::iter::once(cert.clone()).chain(self.chain.iter().cloned()).collect();
        Self { cert, key, chain }
    }

    pub fn issue(&self, leaf: &Leaf) -> Identity {
        let key = leaf.key.generate();
        let issuer = self.cert.subject_name().to_owned().unwrap();
        let cert = sign(leaf.builder(&key, &issuer), Some(&self.cert), &self.key);
        Identity { cert, key, chain: self.chain.clone() }
    }

    pub fn pem(&self) -> String {
        pem(&self.cert)
    }

    /// A list of these certificates, with a next update in so many seconds.
    pub fn revocation_list(&self, revoked: &[&X509], next_update: i64) -> X509Crl {
        let mut builder = X509CrlBuilder::new().unwrap();
        builder.set_issuer_name(self.cert.subject_name()).unwrap();
        builder.set_last_update(&time_in(next_update.min(0) - DAY)).unwrap();
        builder.set_next_update(&time_in(next_update)).unwrap();
        for certificate in revoked {
            let mut entry = X509RevokedBuilder::new().unwrap();
            entry.set_serial_number(certificate.serial_number()).unwrap();
            entry.set_revocation_date(&time_in(-1)).unwrap();
            builder.add_revoked(entry.build()).unwrap();
        }
        builder.sort().unwrap();
        let context = X509Builder::new().unwrap();
        let context = context.x509v3_context(Some(&self.cert), None);
        let issuer = AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap();
        builder.append_extension(issuer).unwrap();
        let oid = Asn1Object::from_str("2.5.29.20").unwrap();
        let number = Asn1OctetString::new_from_bytes(&[2, 1, 1]).unwrap();
        let number = X509Extension::new_from_der(&oid, false, &number).unwrap();
        builder.append_extension(number).unwrap();
        builder.sign(&self.key, MessageDigest::sha256()).unwrap();
        builder.build().unwrap()
    }
}

/// A certificate of `ca` for the key of another certificate.
pub fn renew(ca: &Authority, old: &Identity) -> Identity {
    let issuer = ca.cert.subject_name().to_owned().unwrap();
    let cert = sign(Leaf::server().builder(&old.key, &issuer), Some(&ca.cert), &ca.key);
    Identity { cert, key: old.key.clone(), chain: ca.chain.clone() }
}

/// A CA and a certificate for this host: what nearly every test with TLS needs.
pub struct ServerTls {
    pub ca: Authority,
    pub identity: Identity,
}

impl ServerTls {
    pub fn new() -> Self {
        Self::with_key(KeyKind::Ecdsa)
    }

    pub fn with_key(key: KeyKind) -> Self {
        let ca = Authority::new("server CA");
        let identity = ca.issue(&Leaf::server().key(key));
        Self { ca, identity }
    }
}

pub fn pem(cert: &X509) -> String {
    text(cert.to_pem().unwrap())
}

fn text(pem: Vec<u8>) -> String {
    String::from_utf8(pem).unwrap()
}

fn name(common_name: &str) -> X509Name {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", common_name).unwrap();
    name.build()
}

fn authority(subject: &str, issuer: &X509Name, key: &PKey<Private>, ends_in: i64) -> X509Builder {
    let mut builder = start(subject, issuer, key, (-DAY, ends_in));
    let constraints = BasicConstraints::new().critical().ca().build().unwrap();
    builder.append_extension(constraints).unwrap();
    let usage = KeyUsage::new().critical().key_cert_sign().crl_sign().build().unwrap();
    builder.append_extension(usage).unwrap();
    builder
}

fn start(
    subject: &str,
    issuer: &X509Name,
    key: &PKey<Private>,
    (from, to): (i64, i64),
) -> X509Builder {
    let mut serial = BigNum::new().unwrap();
    serial.rand(127, MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name(subject)).unwrap();
    builder.set_issuer_name(issuer).unwrap();
    builder.set_not_before(&time_in(from)).unwrap();
    builder.set_not_after(&time_in(to)).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
}

fn sign(mut builder: X509Builder, issuer: Option<&X509>, key: &PKey<Private>) -> X509 {
    let context = builder.x509v3_context(issuer.map(AsRef::as_ref), None);
    let subject_key = SubjectKeyIdentifier::new().build(&context).unwrap();
    let authority_key =
        issuer.map(|_| AuthorityKeyIdentifier::new().keyid(true).build(&context).unwrap());
    builder.append_extension(subject_key).unwrap();
    if let Some(authority_key) = authority_key {
        builder.append_extension(authority_key).unwrap();
    }
    let digest = match key.id() {
        Id::ED25519 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(key, digest).unwrap();
    builder.build()
}

/// The time in so many seconds.
fn time_in(seconds: i64) -> Asn1Time {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Asn1Time::from_unix(i64::try_from(now.as_secs()).unwrap() + seconds).unwrap()
}
