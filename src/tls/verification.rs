//! The verification of a certificate outside of a handshake.

use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::X509StoreRef;
use openssl::x509::{X509, X509Ref, X509StoreContext};

/// Returns whether a certificate leads to one that the store trusts, by those that were sent along. An
/// error of OpenSSL counts as no.
pub fn is_trusted(
    store: &X509StoreRef,
    leaf: &X509Ref,
    sent: impl IntoIterator<Item = X509>,
) -> bool {
    let verify = || -> Result<bool, ErrorStack> {
        let mut chain = Stack::new()?;
        for certificate in sent {
            chain.push(certificate)?;
        }
        X509StoreContext::new()?.init(store, leaf, &chain, |context| context.verify_cert())
    };
    verify().unwrap_or(false)
}
