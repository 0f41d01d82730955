//! A self-signed certificate that serves as server certificate and, copied to Prometheus, as
//! `ca_file`.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509NameBuilder};

/// The most that Apple's and older browsers' rules allow, so that the page opens there, too.
const VALID_DAYS: u32 = 825;
/// For hosts whose clock is behind.
const CLOCK_SKEW_SECS: i64 = 3600;
const RSA_BITS: u32 = 2048;
/// CA/Browser Forum: at least 64 bits of randomness; RFC 5280: at most 20 bytes.
const SERIAL_BITS: i32 = 127;
/// X509 version 3 is encoded as 2.
const X509_V3: i32 = 2;
/// RFC 5280: a common name has at most 64 characters.
const COMMON_NAME_LEN: usize = 64;

pub fn generate_key(rsa: bool) -> Result<PKey<Private>, ErrorStack> {
    if rsa {
        return PKey::from_rsa(Rsa::generate(RSA_BITS)?);
    }
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

/// Go trusts a certificate that is itself in the pool; OpenSSL and curl want it to be its own
/// issuer. It is no CA: whoever steals the key can pose as this host, not as any other.
pub fn self_signed(key: &PKey<Private>, names: &[String]) -> Result<X509, ErrorStack> {
    let mut builder = X509Builder::new()?;
    builder.set_version(X509_V3)?;
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
    builder.set_serial_number(&*serial.to_asn1_integer()?)?;
    let mut subject = X509NameBuilder::new()?;
    let common_name: String = names
        .first()
        .map_or("exporter-guard", String::as_str)
        .chars()
        .take(COMMON_NAME_LEN)
        .collect();
    subject.append_entry_by_nid(Nid::COMMONNAME, &common_name)?;
    let subject = subject.build();
    builder.set_subject_name(&subject)?;
    builder.set_issuer_name(&subject)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let start = i64::try_from(now).unwrap_or(0) - CLOCK_SKEW_SECS;
    builder.set_not_before(&*Asn1Time::from_unix(start)?)?;
    builder.set_not_after(&*Asn1Time::days_from_now(VALID_DAYS)?)?;
    builder.set_pubkey(key)?;
    add_extensions(&mut builder, key, names)?;
    let digest = MessageDigest::sha256();
    builder.sign(key, digest)?;
    Ok(builder.build())
}

fn add_extensions(
    builder: &mut X509Builder,
    key: &PKey<Private>,
    names: &[String],
) -> Result<(), ErrorStack> {
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    let mut usage = KeyUsage::new();
    usage.critical().digital_signature();
    if key.rsa().is_ok() {
        // TLS 1.2 clients with RSA key exchange are refused, but some check the bit all the same.
        usage.key_encipherment();
    }
    builder.append_extension(usage.build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut alternative = SubjectAlternativeName::new();
    for name in names {
        match name.parse::<IpAddr>() {
            Ok(_) => alternative.ip(name),
            Err(_) => alternative.dns(name),
        };
    }
    let context = builder.x509v3_context(None, None);
    let names = alternative.build(&context)?;
    let identifier = SubjectKeyIdentifier::new().build(&context)?;
    builder.append_extension(names)?;
    builder.append_extension(identifier)
}
