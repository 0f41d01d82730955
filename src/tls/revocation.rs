//! Certificate revocation lists (RFC 5280 section 5): what a certificate authority says about the
//! certificates that it has issued and that count no more.
//!
//! Where there are lists, every certificate of a chain needs one of its issuer that is in force: an
//! issuer without a list, and a list past its next update, are refused. Delta lists are not supported.

use std::sync::Arc;

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::ssl::SslRef;
use openssl::x509::store::{X509Store, X509StoreBuilder, X509StoreBuilderRef};
use openssl::x509::verify::X509VerifyFlags;
use openssl::x509::{
    X509, X509Crl, X509NameRef, X509PurposeId, X509Ref, X509StoreContextRef, X509VerifyResult,
};
use sha2::{Digest, Sha256};

use super::expiry::Expiry;
use super::material::report;
use super::verification::is_trusted;
use crate::config::{Findings, PemMaterial, Severity};
use crate::os::openssl::{VerifyPolicy, add_crl, set_verify_policy};

const PEM_BEGIN: &str = "-----BEGIN X509 CRL-----";
/// The object identifier of the extension deltaCRLIndicator (RFC 5280 section 5.2.4) in DER.
const DELTA_INDICATOR: [u8; 5] = [0x06, 0x03, 0x55, 0x1d, 0x1b];
/// The part of a list's lifetime that is left when a newer one should have been there.
const LAST_PART: i64 = 4;

/// The lists that certificates are checked against.
#[derive(Clone, Default)]
pub struct RevocationLists {
    lists: Vec<RevocationList>,
}

/// One list.
#[derive(Clone)]
pub struct RevocationList {
    crl: Arc<X509Crl>,
    /// The time of the next update, after which the list counts no more; `None`: not said.
    pub next_update: Option<Expiry>,
}

impl RevocationLists {
    /// Reads lists, PEM or DER, that these authorities have issued, and adds their problems to
    /// `findings`; `None` if one of them is an error. A list that has expired is a warning: its
    /// certificates are refused until there is a newer one.
    pub fn read(
        materials: &[PemMaterial],
        authorities: &[X509],
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut lists = Vec::new();
        let mut is_broken = false;
        for material in materials {
            match parse(&material.pem) {
                Ok(found) => {
                    for crl in found {
                        match RevocationList::check(crl, material, authorities, findings) {
                            Some(list) => lists.push(list),
                            None => is_broken = true,
                        }
                    }
                }
                Err(message) => {
                    report(material, Severity::Error, &message, findings);
                    is_broken = true;
                }
            }
        }
        let lists = Self { lists };
        if let Some(material) = materials.first().filter(|_| !is_broken) {
            for authority in authorities.iter().filter(|authority| !lists.covers(authority)) {
                let name = name_of(authority.subject_name());
                let message =
                    format!("no list of {name}: the certificates that it issued are refused");
                report(material, Severity::Warning, &message, findings);
            }
        }
        (!is_broken).then_some(lists)
    }

    /// Returns each list.
    pub fn iter(&self) -> impl Iterator<Item = &RevocationList> {
        self.lists.iter()
    }

    /// Returns the certificates to trust, and whether to trust one whose issuer is not trusted.
    ///
    /// Go trusts every certificate of its pool, also an intermediate whose root is not in the pool. With
    /// lists, an intermediate whose issuer is in the pool must not end a chain: nobody would look for it
    /// in its issuer's list.
    pub fn trusted<'a>(&self, authorities: &'a [X509]) -> (bool, Vec<&'a X509>) {
        let has_issuer = |ca: &X509Ref| {
            authorities.iter().any(|issuer| issuer.issued(ca) == X509VerifyResult::OK)
        };
        let is_self_issued = |ca: &X509Ref| ca.issued(ca) == X509VerifyResult::OK;
        let is_last = |ca: &&X509| is_self_issued(ca) || !has_issuer(ca);
        let is_partial = authorities.iter().any(|ca| !has_issuer(ca));
        match (self.lists.is_empty(), is_partial) {
            (true, _) => (true, authorities.iter().collect()),
            (false, true) => (true, authorities.iter().filter(is_last).collect()),
            (false, false) => (false, authorities.iter().collect()),
        }
    }

    fn covers(&self, authority: &X509Ref) -> bool {
        let name = authority.subject_name().to_der().ok();
        self.lists.iter().any(|list| list.crl.issuer_name().to_der().ok() == name)
    }

    /// Makes a store check certificates against the lists.
    ///
    /// # Errors
    ///
    /// Returns OpenSSL's error.
    pub fn add_to(&self, store: &mut X509StoreBuilderRef) -> Result<(), ErrorStack> {
        if self.lists.is_empty() {
            return Ok(());
        }
        for list in &self.lists {
            add_crl(store, &list.crl)?;
        }
        store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
        set_verify_policy::<AnchorWithoutList>(store);
        Ok(())
    }

    /// Adds what tells these lists from others to a digest.
    pub fn update(&self, hasher: &mut Sha256) {
        for list in &self.lists {
            hasher.update(list.crl.to_der().unwrap_or_default());
        }
    }

    /// Returns how many lists count no more.
    pub fn expired(&self) -> usize {
        let now = Expiry::now();
        let ends = self.lists.iter().filter_map(|list| list.next_update);
        ends.filter(|end| end.is_past(now)).count()
    }
}

impl RevocationList {
    fn check(
        crl: X509Crl,
        material: &PemMaterial,
        authorities: &[X509],
        findings: &mut Findings,
    ) -> Option<Self> {
        let issuer = name_of(crl.issuer_name());
        let mut say = |severity, message: String| report(material, severity, &message, findings);
        let is_delta = crl.to_der().is_ok_and(|der| {
            der.windows(DELTA_INDICATOR.len()).any(|window| window == DELTA_INDICATOR)
        });
        if is_delta {
            say(
                Severity::Error,
                format!("the list of {issuer} is a delta list; give the whole one"),
            );
            return None;
        }
        let has_issued = |authority: &X509| {
            authority.public_key().is_ok_and(|key| crl.verify(&key).unwrap_or(false))
        };
        if !authorities.iter().any(has_issued) {
            let message = format!(
                "the list is of {issuer}, which is none of the CAs; add its certificate there"
            );
            say(Severity::Error, message);
            return None;
        }
        let now = Asn1Time::days_from_now(0).ok()?;
        if now < *crl.last_update() {
            say(Severity::Warning, format!("the list of {issuer} is not valid yet: {REFUSED}"));
        }
        match crl.next_update() {
            None => {
                let message =
                    format!("the list of {issuer} says no next update, so that it never ends");
                say(Severity::Warning, message);
            }
            Some(end) if *end < now => {
                say(Severity::Warning, format!("the list of {issuer} expired on {end}: {REFUSED}"));
            }
            Some(end) if is_nearly_over(&crl) => {
                let message =
                    format!("the list of {issuer} expires soon, on {end}; get a newer one");
                say(Severity::Warning, message);
            }
            Some(_) => {}
        }
        let next_update = crl.next_update().map(Expiry::at);
        Some(Self { crl: Arc::new(crl), next_update })
    }

    /// Returns the name of the CA that has issued the list.
    pub fn issuer(&self) -> &X509NameRef {
        self.crl.issuer_name()
    }
}

/// The effect of a list that does not count.
const REFUSED: &str = "the certificates of this CA are refused until there is another";

fn is_nearly_over(crl: &X509Crl) -> bool {
    let Some(end) = crl.next_update() else { return false };
    let (end, begin) = (Expiry::at(end).unix_seconds, Expiry::at(crl.last_update()).unix_seconds);
    end - Expiry::now().unix_seconds < (end - begin) / LAST_PART
}

/// Parses PEM text with one or more lists, or one list in DER.
fn parse(content: &[u8]) -> Result<Vec<X509Crl>, String> {
    let text = String::from_utf8_lossy(content);
    if !text.contains("-----BEGIN") {
        let crl = X509Crl::from_der(content);
        return crl
            .map(|crl| vec![crl])
            .map_err(|_| "no revocation list in it, PEM or DER".to_owned());
    }
    let mut lists = Vec::new();
    for (number, block) in text.split(PEM_BEGIN).skip(1).enumerate() {
        let pem = format!("{PEM_BEGIN}{block}");
        let crl = X509Crl::from_pem(pem.as_bytes());
        lists.push(crl.map_err(|_| format!("list {} in it cannot be parsed", number + 1))?);
    }
    match lists.is_empty() {
        true => Err(format!("no PEM revocation list in it ({PEM_BEGIN})")),
        false => Ok(lists),
    }
}

/// Returns the common name, or else the whole name.
fn name_of(name: &X509NameRef) -> String {
    let common = name.entries_by_nid(Nid::COMMONNAME).next();
    let common = common.and_then(|entry| entry.data().to_string().ok());
    common.unwrap_or_else(|| format!("{name:?}"))
}

/// Accepts a trusted certificate without a list of its issuer: an intermediate that is trusted by
/// itself has an issuer that nobody configured, and whoever trusts a certificate withdraws it by its
/// removal.
pub struct AnchorWithoutList;

impl VerifyPolicy for AnchorWithoutList {
    fn accept(ok: bool, context: &mut X509StoreContextRef) -> bool {
        if ok {
            return true;
        }
        let last = context.chain().map_or(0, |chain| chain.len()).saturating_sub(1);
        let is_anchor = usize::try_from(context.error_depth()) == Ok(last);
        // A leaf that is trusted by itself is no authority.
        let is_tolerated = context.error().as_raw() == openssl_sys::X509_V_ERR_UNABLE_TO_GET_CRL
            && is_anchor
            && last > 0;
        if is_tolerated {
            context.set_error(X509VerifyResult::OK);
        }
        is_tolerated
    }
}

/// Judges the certificates of exporters by lists, with all that leads to their authority.
pub struct RevocationCheck {
    store: X509Store,
    lists: RevocationLists,
}

impl RevocationCheck {
    /// Takes the authorities that certificates lead to, and their lists; `None` without lists.
    pub fn new(authorities: &[X509], lists: RevocationLists) -> Option<Result<Self, ErrorStack>> {
        let build = || {
            let mut store = X509StoreBuilder::new()?;
            for authority in authorities {
                store.add_cert(authority.clone())?;
            }
            store.set_purpose(X509PurposeId::SSL_SERVER)?;
            lists.add_to(&mut store)?;
            Ok(store.build())
        };
        (!lists.lists.is_empty()).then(|| Ok(Self { store: build()?, lists: lists.clone() }))
    }

    /// Returns the lists.
    pub fn lists(&self) -> &RevocationLists {
        &self.lists
    }

    /// Returns whether no certificate that the other side of a connection has sent is revoked, and a list
    /// says so of each.
    pub fn passes(&self, ssl: &SslRef) -> bool {
        let Some(leaf) = ssl.peer_certificate() else { return false };
        let sent = ssl.peer_cert_chain().into_iter().flatten().map(ToOwned::to_owned);
        is_trusted(&self.store, &leaf, sent)
    }
}
