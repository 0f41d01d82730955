//! A self-signed certificate that serves as server certificate and, copied to Prometheus, as
//! `ca_file`.
//!
//! The certificate is not a CA, for two reasons. Go and OpenSSL trust a certificate that is itself
//! in the pool, CA or not, and a stolen key then impersonates these names only. And webpki (rustls)
//! refuses a server certificate that is a CA.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Extension, X509Name, X509NameBuilder};

use super::hostname::Hostname;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest validity that Apple's verifier accepts of a certificate outside the public CAs.
const MAX_VALIDITY: Duration = DAY.saturating_mul(825);
/// Taken off the validity, which includes both its first and its last second (RFC 5280 section
/// 4.1.2.5).
const LAST_SECOND: Duration = Duration::from_secs(1);
/// The time before its creation at which a certificate becomes valid: the clock of Prometheus may be behind.
const CLOCK_SKEW: Duration = Duration::from_secs(60 * 60);
/// The shortest RSA key that Go and browsers accept; a longer one costs each handshake more CPU.
const RSA_BITS: u32 = 2048;
/// Random bits of a serial number: the CA/Browser Forum asks for at least 64, and RFC 5280 (section
/// 4.1.2.2) allows at most 20 bytes.
const SERIAL_BITS: i32 = 128;
/// X.509 version 3, which is encoded as 2 (RFC 5280 section 4.1.2.1).
const X509_V3: i32 = 2;
/// The most characters of a common name (`ub-common-name` in RFC 5280 appendix A).
const MAX_COMMON_NAME_LEN: usize = 64;

/// Generates a private key, RSA or ECDSA P-256.
///
/// Every TLS client knows P-256, and its signature takes tens of microseconds where RSA takes a
/// millisecond.
///
/// # Errors
///
/// Returns the errors of OpenSSL.
pub fn generate_key(rsa: bool) -> Result<PKey<Private>, ErrorStack> {
    if rsa {
        return PKey::from_rsa(Rsa::generate(RSA_BITS)?);
    }
    let mut group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    // Go does not read a curve that is given by its parameters instead of its name.
    group.set_asn1_flag(Asn1Flag::NAMED_CURVE);
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// Builds a certificate for `names` that `key` signs, valid from one hour before `now`.
///
/// # Errors
///
/// Returns the errors of OpenSSL.
pub fn self_signed(
    key: &PKey<Private>,
    names: &[Hostname],
    now: SystemTime,
) -> Result<X509, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(X509_V3)?;
    builder.set_serial_number(&*random_serial()?.to_asn1_integer()?)?;
    let name = subject(names)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    let start = now - CLOCK_SKEW;
    builder.set_not_before(&*asn1_time(start)?)?;
    builder.set_not_after(&*asn1_time(start + MAX_VALIDITY - LAST_SECOND)?)?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(key_usage(key)?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let alternative = alternative_names(names, &builder)?;
    builder.append_extension(alternative)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    let digest = MessageDigest::sha256();
    builder.sign(key, digest)?;
    Ok(builder.build())
}

/// Returns a serial number, which also distinguishes this certificate from one that a later `init`
/// makes under the same name.
fn random_serial() -> Result<BigNum, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    Ok(serial)
}

/// Returns a subject for people who read the certificate: clients compare the alternative names
/// only. It is not empty, since OpenSSL requires an issuer.
fn subject(names: &[Hostname]) -> Result<X509Name, ErrorStack> {
    let name = names.first().map_or_else(|| "exporter-guard".to_owned(), Hostname::to_string);
    // A host name is ASCII, so that any byte index is a character boundary.
    let name = name.get(..MAX_COMMON_NAME_LEN).unwrap_or(&name);
    let mut subject = X509NameBuilder::new()?;
    subject.append_entry_by_nid(Nid::COMMONNAME, name)?;
    Ok(subject.build())
}

fn asn1_time(time: SystemTime) -> Result<Asn1Time, ErrorStack> {
    // A clock before 1970 or after the year 292277026596 makes no usable certificate anyway.
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Asn1Time::from_unix(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn key_usage(key: &PKey<Private>) -> Result<X509Extension, ErrorStack> {
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    if key.id() == Id::RSA {
        // Some TLS 1.2 clients require it whatever the key exchange.
        usage.key_encipherment();
    }
    usage.build()
}

fn alternative_names(
    names: &[Hostname],
    builder: &X509Builder,
) -> Result<X509Extension, ErrorStack> {
    let mut alternative = SubjectAlternativeName::new();
    for name in names {
        match name {
            Hostname::Dns(name) => alternative.dns(name),
            Hostname::Ip(address) => alternative.ip(&address.to_string()),
        };
    }
    alternative.build(&builder.x509v3_context(None, None))
}

#[cfg(test)]
mod tests {
    use openssl::ssl::SslFiletype;
    use openssl::stack::Stack;
    use openssl::x509::store::X509StoreBuilder;
    use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
    use openssl::x509::{X509PurposeId, X509StoreContext, X509VerifyResult};

    use super::*;

    fn names() -> Vec<Hostname> {
        ["node1.example.com", "10.0.0.1", "::1"].map(|name| Hostname::parse(name).unwrap()).into()
    }

    fn certificate(rsa: bool) -> (PKey<Private>, X509) {
        let key = generate_key(rsa).unwrap();
        let certificate = self_signed(&key, &names(), SystemTime::now()).unwrap();
        (key, certificate)
    }

    /// Verifies like a TLS client that trusts this certificate alone and has connected to `name`.
    fn verify(certificate: &X509, name: &str, flags: X509VerifyFlags) -> X509VerifyResult {
        verify_against(certificate, certificate, name, flags)
    }

    fn verify_against(
        ca: &X509,
        certificate: &X509,
        name: &str,
        flags: X509VerifyFlags,
    ) -> X509VerifyResult {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(ca.clone()).unwrap();
        store.set_flags(flags).unwrap();
        store.set_purpose(X509PurposeId::SSL_SERVER).unwrap();
        let mut param = X509VerifyParam::new().unwrap();
        match name.parse() {
            Ok(address) => param.set_ip(address).unwrap(),
            Err(_) => param.set_host(name).unwrap(),
        }
        store.set_param(&param).unwrap();
        let chain = Stack::new().unwrap();
        let mut context = X509StoreContext::new().unwrap();
        context
            .init(&store.build(), certificate, &chain, |context| {
                context.verify_cert()?;
                Ok(context.error())
            })
            .unwrap()
    }

    #[test]
    fn it_is_trusted_for_its_names_also_by_the_strict_rules() {
        for rsa in [false, true] {
            let (_, certificate) = certificate(rsa);
            for flags in [X509VerifyFlags::empty(), X509VerifyFlags::X509_STRICT] {
                for name in ["node1.example.com", "10.0.0.1", "::1"] {
                    assert_eq!(verify(&certificate, name, flags), X509VerifyResult::OK, "{name}");
                }
                for name in ["node2.example.com", "example.com", "10.0.0.2"] {
                    assert_ne!(verify(&certificate, name, flags), X509VerifyResult::OK, "{name}");
                }
            }
        }
    }

    #[test]
    fn a_certificate_that_its_key_signs_is_refused() {
        let (key, ours) = certificate(false);
        let other = generate_key(false).unwrap();
        let mut forged = X509Builder::new().unwrap();
        forged.set_version(X509_V3).unwrap();
        forged.set_pubkey(&other).unwrap();
        forged.set_issuer_name(ours.subject_name()).unwrap();
        forged.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        forged.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        let bank = [Hostname::parse("bank.example").unwrap()];
        let alternative = alternative_names(&bank, &forged).unwrap();
        forged.append_extension(alternative).unwrap();
        forged.sign(&key, MessageDigest::sha256()).unwrap();
        let forged = forged.build();
        let result = verify_against(&ours, &forged, "bank.example", X509VerifyFlags::empty());
        let text = result.error_string();
        assert!(text.contains("issuer") || text.contains("CA certificate"), "{text}");
    }

    #[test]
    fn it_has_the_key_the_names_and_the_identifiers() {
        let (key, certificate) = certificate(false);
        assert!(certificate.public_key().unwrap().public_eq(&key));
        assert!(certificate.verify(&key).unwrap());
        let alternative = certificate.subject_alt_names().unwrap();
        let dns: Vec<_> = alternative.iter().filter_map(|name| name.dnsname()).collect();
        assert_eq!(dns, ["node1.example.com"]);
        let addresses: Vec<_> = alternative.iter().filter_map(|name| name.ipaddress()).collect();
        assert_eq!(addresses, [&[10, 0, 0, 1][..], &std::net::Ipv6Addr::LOCALHOST.octets()[..]]);
        assert!(certificate.subject_key_id().is_some());
        let serial = certificate.serial_number().to_bn().unwrap();
        assert!(!serial.is_negative() && serial.num_bits() <= SERIAL_BITS);
    }

    #[test]
    fn it_is_valid_for_825_days_from_an_hour_ago() {
        let key = generate_key(false).unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let certificate = self_signed(&key, &names(), now).unwrap();
        let start = Asn1Time::from_unix(1_800_000_000 - 3600).unwrap();
        assert!(certificate.not_before() == start);
        let validity = certificate.not_before().diff(certificate.not_after()).unwrap();
        assert_eq!((validity.days, validity.secs), (824, 86_399));
    }

    #[test]
    fn a_long_name_is_cut_in_the_subject_only() {
        let long = format!("{}.{}.example", "a".repeat(63), "b".repeat(63));
        let key = generate_key(false).unwrap();
        let name = [Hostname::parse(&long).unwrap()];
        let certificate = self_signed(&key, &name, SystemTime::now()).unwrap();
        assert_eq!(verify(&certificate, &long, X509VerifyFlags::X509_STRICT), X509VerifyResult::OK);
    }

    #[test]
    fn a_tls_server_accepts_the_key_and_the_certificate() {
        for rsa in [false, true] {
            let (key, certificate) = certificate(rsa);
            let directory = tempfile::tempdir().unwrap();
            let (key_file, file) = (directory.path().join("key"), directory.path().join("crt"));
            std::fs::write(&key_file, key.private_key_to_pem_pkcs8().unwrap()).unwrap();
            std::fs::write(&file, certificate.to_pem().unwrap()).unwrap();
            let mut context =
                openssl::ssl::SslContext::builder(openssl::ssl::SslMethod::tls_server()).unwrap();
            context.set_certificate_file(&file, SslFiletype::PEM).unwrap();
            context.set_private_key_file(&key_file, SslFiletype::PEM).unwrap();
            context.check_private_key().unwrap();
        }
    }
}
