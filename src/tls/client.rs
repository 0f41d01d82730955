//! Client certificates: whether a handshake requests, requires or verifies one, and which names are
//! allowed.

use std::borrow::Cow;
use std::net::IpAddr;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::{SslContextBuilder, SslVerifyMode};
use openssl::x509::store::{X509Store, X509StoreBuilder, X509StoreRef};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{
    GeneralNameRef, X509, X509NameEntryRef, X509PurposeId, X509Ref, X509StoreContextRef,
    X509VerifyResult,
};
use sha2::{Digest, Sha256};

use super::material::ServerMaterial;
use super::revocation::{AnchorWithoutList, RevocationLists};
use crate::config::{ClientAuth, TlsConfig};
use crate::os::openssl::{VerifyPolicy, share_store};

/// Decides about the certificates of clients: in handshakes, and again on open connections once the
/// configuration has changed.
pub struct ClientVerifier {
    client_auth: ClientAuth,
    /// `None`: certificates are not verified.
    store: Option<X509Store>,
    client_cas: Vec<X509>,
    crls: RevocationLists,
    allowed_sans: Vec<String>,
    digest: [u8; 32],
}

impl ClientVerifier {
    /// Takes the rules of a listener whose handshakes ask for `client_auth`.
    ///
    /// # Errors
    ///
    /// Returns OpenSSL's error.
    pub fn new(
        tls: &TlsConfig,
        client_auth: ClientAuth,
        material: &ServerMaterial,
    ) -> Result<Self, ErrorStack> {
        let client_cas = material.client_cas.clone();
        let crls = material.client_crls.clone();
        let store = client_auth.verifies().then(|| trust_store(&client_cas, &crls)).transpose()?;
        let mut hasher = Sha256::new();
        hasher.update([u8::from(store.is_some()), u8::from(client_auth == ClientAuth::None)]);
        for ca in &client_cas {
            hasher.update(ca.digest(MessageDigest::sha256())?);
        }
        crls.update(&mut hasher);
        for name in &tls.allowed_sans {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
        }
        Ok(Self {
            client_auth,
            store,
            client_cas,
            crls,
            allowed_sans: tls.allowed_sans.clone(),
            digest: hasher.finalize().into(),
        })
    }

    /// Returns what tells one set of rules from another: the rules, and how many of the revocation
    /// lists count no more.
    pub fn state(&self) -> RulesState {
        RulesState { digest: self.digest, expired_lists: self.crls.expired() }
    }

    /// Returns the trusted certificates; `None` where certificates are not verified.
    pub fn store(&self) -> Option<&X509StoreRef> {
        self.store.as_deref()
    }

    /// Returns whether `client_allowed_sans` has a name of this certificate, or lists none, or
    /// no certificates are asked for.
    pub fn allows_name_of(&self, leaf: &X509Ref) -> bool {
        self.client_auth == ClientAuth::None
            || self.allowed_sans.is_empty()
            || has_allowed_name(leaf, &self.allowed_sans)
    }
}

/// The rules for client certificates at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RulesState {
    digest: [u8; 32],
    /// The revocation lists that count no more.
    expired_lists: usize,
}

impl RulesState {
    /// Returns the same rules while every list counted.
    pub fn before_lists_expired(self) -> Self {
        Self { expired_lists: 0, ..self }
    }
}

/// Configures the verification of client certificates by the exporter-toolkit's rules. The variants
/// of [`ClientAuth`] are those of Go's `ClientAuthType`.
///
/// # Errors
///
/// Returns the errors of OpenSSL.
pub fn configure(
    builder: &mut SslContextBuilder,
    verifier: &ClientVerifier,
) -> Result<(), ErrorStack> {
    let (mode, verifies) = match verifier.client_auth {
        ClientAuth::None => return Ok(()),
        ClientAuth::Request => (SslVerifyMode::PEER, false),
        ClientAuth::RequireAny => {
            (SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, false)
        }
        ClientAuth::VerifyIfGiven => (SslVerifyMode::PEER, true),
        ClientAuth::RequireAndVerify => {
            (SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, true)
        }
    };
    if let Some(store) = verifier.store() {
        builder.set_verify_cert_store(share_store(store))?;
        for ca in &verifier.client_cas {
            builder.add_client_ca(ca)?;
        }
    }
    let allowed = verifier.allowed_sans.clone();
    builder.set_verify_callback(mode, move |ok, context| {
        let is_trusted = !verifies || AnchorWithoutList::accept(ok, context);
        accept(is_trusted, context, &allowed)
    });
    Ok(())
}

/// Builds a store of the configured CAs; without any, of the system's roots, as Go does.
fn trust_store(client_cas: &[X509], crls: &RevocationLists) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    if client_cas.is_empty() {
        for certificate in system_roots() {
            store.add_cert(certificate)?;
        }
    }
    let (trusts_partial_chains, trusted) = crls.trusted(client_cas);
    for ca in trusted {
        store.add_cert(ca.clone())?;
    }
    if trusts_partial_chains {
        store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    }
    // What a handshake sets by itself, verification outside of one needs to be told.
    store.set_purpose(X509PurposeId::SSL_CLIENT)?;
    crls.add_to(&mut store)?;
    Ok(store.build())
}

/// Reads the system's roots. A file that cannot be read or parsed yields none.
fn system_roots() -> Vec<X509> {
    openssl_probe::probe()
        .cert_file
        .as_deref()
        .and_then(|path: &Path| std::fs::read(path).ok())
        .and_then(|pem| X509::stack_from_pem(&pem).ok())
        .unwrap_or_default()
}

/// Returns whether a certificate of the chain is accepted. OpenSSL calls this for each certificate
/// and for each problem.
fn accept(is_trusted: bool, context: &mut X509StoreContextRef, allowed: &[String]) -> bool {
    if !is_trusted {
        return false;
    }
    if context.error_depth() == 0 && !allowed.is_empty() {
        let matches = context.current_cert().is_some_and(|leaf| has_allowed_name(leaf, allowed));
        if !matches {
            context.set_error(X509VerifyResult::APPLICATION_VERIFICATION);
            return false;
        }
    }
    context.set_error(X509VerifyResult::OK);
    true
}

/// Returns whether one of the leaf's DNS, e-mail, IP or URI names is in the list, exactly.
fn has_allowed_name(leaf: &X509Ref, allowed: &[String]) -> bool {
    subject_alt_names(leaf).iter().any(|name| allowed.contains(name))
}

fn subject_alt_names(leaf: &X509Ref) -> Vec<String> {
    let Some(names) = leaf.subject_alt_names() else { return Vec::new() };
    let text = |name: &GeneralNameRef| {
        let text = name.dnsname().or_else(|| name.email()).or_else(|| name.uri());
        text.map(str::to_owned).or_else(|| name.ipaddress().and_then(ip_text))
    };
    names.iter().filter_map(text).collect()
}

/// The names in a client certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientNames {
    /// The subject alternative names.
    alternatives: Vec<String>,
    /// The common names.
    common: Vec<String>,
}

/// The prefix of a common name in the configuration. Common names count only with this prefix.
const COMMON_NAME_PREFIX: &str = "cn:";

#[cfg(test)]
impl From<&str> for ClientNames {
    fn from(alternative: &str) -> Self {
        Self { alternatives: vec![alternative.to_owned()], common: Vec::new() }
    }
}

impl ClientNames {
    /// Reads the names of a leaf certificate.
    pub fn of(leaf: &X509Ref) -> Self {
        let common = leaf.subject_name().entries_by_nid(Nid::COMMONNAME);
        let text = |name: &X509NameEntryRef| name.data().to_string().ok();
        Self { alternatives: subject_alt_names(leaf), common: common.filter_map(text).collect() }
    }

    /// Returns the first subject alternative name, or else the first common name.
    pub fn first(&self) -> Option<&str> {
        self.alternatives.first().or_else(|| self.common.first()).map(String::as_str)
    }

    /// Returns the names as the configuration would list them.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let common = self.common.iter().map(|name| format!("{COMMON_NAME_PREFIX}{name}").into());
        self.alternatives.iter().map(|name| Cow::Borrowed(name.as_str())).chain(common)
    }

    /// Returns whether the certificate has the name, exactly: as a DNS, e-mail, IP or URI name, or
    /// after `cn:` as a common name.
    pub fn has(&self, wanted: &str) -> bool {
        match wanted.strip_prefix(COMMON_NAME_PREFIX) {
            Some(common) => self.common.iter().any(|name| name == common),
            None => self.alternatives.iter().any(|name| name == wanted),
        }
    }
}

fn ip_text(bytes: &[u8]) -> Option<String> {
    let address: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        _ => return None,
    };
    Some(address.to_string())
}
