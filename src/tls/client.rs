//! Client certificates: who is asked for one, who must have one, and which names pass.

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
use crate::config::{ClientAuth, TlsConfig};
use crate::os::openssl::share_store;

/// Decides about the certificates of clients: in handshakes, and again on open connections once the
/// configuration has changed.
pub struct ClientVerifier {
    client_auth: ClientAuth,
    /// `None`: certificates are not verified.
    store: Option<X509Store>,
    client_cas: Vec<X509>,
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
        let store = client_auth.verifies().then(|| trust(&client_cas)).transpose()?;
        let mut hasher = Sha256::new();
        hasher.update([u8::from(store.is_some()), u8::from(client_auth == ClientAuth::None)]);
        for ca in &client_cas {
            hasher.update(ca.digest(MessageDigest::sha256())?);
        }
        for name in &tls.allowed_sans {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name);
        }
        Ok(Self {
            client_auth,
            store,
            client_cas,
            allowed_sans: tls.allowed_sans.clone(),
            digest: hasher.finalize().into(),
        })
    }

    /// Returns what tells one set of rules from another.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
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

/// Sets up a context to verify clients by the exporter-toolkit's rules; Go's constants are named in the
/// match.
pub fn configure(
    builder: &mut SslContextBuilder,
    verifier: &ClientVerifier,
) -> Result<(), ErrorStack> {
    let (mode, verified) = match verifier.client_auth {
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
    builder
        .set_verify_callback(mode, move |ok, context| decide(ok || !verified, context, &allowed));
    Ok(())
}

/// The configured CAs; without any, the system's roots, as Go has it.
fn trust(client_cas: &[X509]) -> Result<X509Store, ErrorStack> {
    let mut store = X509StoreBuilder::new()?;
    if client_cas.is_empty() {
        for certificate in system_roots() {
            store.add_cert(certificate)?;
        }
    }
    for ca in client_cas {
        store.add_cert(ca.clone())?;
    }
    // Go trusts every certificate of the pool, also an intermediate whose root is not in it.
    store.set_flags(X509VerifyFlags::PARTIAL_CHAIN)?;
    // What a handshake sets by itself, verification outside of one needs to be told.
    store.set_purpose(X509PurposeId::SSL_CLIENT)?;
    Ok(store.build())
}

/// Whatever cannot be read is not trusted.
fn system_roots() -> Vec<X509> {
    openssl_probe::probe()
        .cert_file
        .as_deref()
        .and_then(|path: &Path| std::fs::read(path).ok())
        .and_then(|pem| X509::stack_from_pem(&pem).ok())
        .unwrap_or_default()
}

/// Called by OpenSSL for each certificate of the chain and for each problem.
fn decide(passes: bool, context: &mut X509StoreContextRef, allowed: &[String]) -> bool {
    if !passes {
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

/// Whether one of the leaf's DNS, e-mail, IP or URI names is in the list, exactly.
fn has_allowed_name(leaf: &X509Ref, allowed: &[String]) -> bool {
    subject_alternatives(leaf).iter().any(|name| allowed.contains(name))
}

fn subject_alternatives(leaf: &X509Ref) -> Vec<String> {
    let Some(names) = leaf.subject_alt_names() else { return Vec::new() };
    let text = |name: &GeneralNameRef| {
        let text = name.dnsname().or_else(|| name.email()).or_else(|| name.uri());
        text.map(str::to_owned).or_else(|| name.ipaddress().and_then(ip_text))
    };
    names.iter().filter_map(text).collect()
}

/// What a client's certificate calls it.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientNames {
    alternatives: Vec<String>,
    common: Vec<String>,
}

/// Before a common name, which counts only where it is asked for by this.
const COMMON_NAME: &str = "cn:";

#[cfg(test)]
impl From<&str> for ClientNames {
    fn from(alternative: &str) -> Self {
        Self { alternatives: vec![alternative.to_owned()], common: Vec::new() }
    }
}

impl ClientNames {
    pub fn of(leaf: &X509Ref) -> Self {
        let common = leaf.subject_name().entries_by_nid(Nid::COMMONNAME);
        let text = |name: &X509NameEntryRef| name.data().to_string().ok();
        Self { alternatives: subject_alternatives(leaf), common: common.filter_map(text).collect() }
    }

    /// One of its DNS, e-mail, IP or URI names, or `cn:` and its common name, exactly.
    pub fn has(&self, wanted: &str) -> bool {
        match wanted.strip_prefix(COMMON_NAME) {
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
