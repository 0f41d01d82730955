//! Client certificates: who is asked for one, who must have one, and which names pass.

use std::net::IpAddr;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::{SslContextBuilder, SslVerifyMode};
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{
    GeneralNameRef, X509, X509NameEntryRef, X509Ref, X509StoreContextRef, X509VerifyResult,
};

use super::material::ServerMaterial;
use crate::config::{ClientAuth, TlsConfig};

/// Set up verification by the exporter-toolkit's rules; Go's constants are named in the match.
pub fn configure(
    builder: &mut SslContextBuilder,
    tls: &TlsConfig,
    client_auth: ClientAuth,
    identity: &ServerMaterial,
) -> Result<(), ErrorStack> {
    let (mode, verified) = match client_auth {
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
    if verified {
        builder.set_verify_cert_store(trust(&identity.client_cas)?)?;
        for ca in &identity.client_cas {
            builder.add_client_ca(ca)?;
        }
    }
    let allowed = tls.allowed_sans.clone();
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
