//! A client certificate after its handshake: it ends, and the configuration that admitted it changes.
//!
//! A session ticket keeps the earliest end of the chain that was verified, so that no session is
//! resumed past it, in TLS 1.2 as in TLS 1.3, whose resumptions would otherwise go on for ever: each
//! of them writes a new ticket. An open connection is judged at each of its requests.

use openssl::ssl::SslRef;
use openssl::x509::X509;
use parking_lot::Mutex;

use super::client::{ClientVerifier, RulesState};
use super::expiry::Expiry;
use super::verification::is_trusted;
use crate::os::openssl::{TicketPolicy, ticket_data};

/// Keeps sessions from being resumed past the end of the certificates that admitted them.
pub struct EndOfCertificates;

impl TicketPolicy for EndOfCertificates {
    fn data(ssl: &SslRef) -> Option<Vec<u8>> {
        // A resumed session keeps the end that it has: it comes without a chain.
        (!ssl.session_reused()).then(|| end_of_chain(ssl)).flatten().map(encode)
    }

    fn may_resume(data: &[u8]) -> bool {
        decode(data).is_none_or(|end| !end.is_past(Expiry::now()))
    }
}

fn encode(end: Expiry) -> Vec<u8> {
    end.unix_seconds.to_be_bytes().to_vec()
}

fn decode(data: &[u8]) -> Option<Expiry> {
    let bytes = data.try_into().ok()?;
    Some(Expiry { unix_seconds: i64::from_be_bytes(bytes) })
}

/// Returns the earliest end among the client's certificate and the chain that verified it; `None`
/// without a certificate, and for one that has ended before it was presented: where nobody verifies
/// certificates, a handshake takes it as the exporter-toolkit does.
fn end_of_chain(ssl: &SslRef) -> Option<Expiry> {
    let leaf = Expiry::of(&*ssl.peer_certificate()?);
    let chain = ssl.verified_chain().into_iter().flatten().map(Expiry::of);
    chain.chain([leaf]).min().filter(|end| !end.is_past(Expiry::now()))
}

/// The certificate that a client has shown on an open connection.
#[derive(Debug)]
pub struct PresentedCertificate {
    leaf: X509,
    /// The certificates that the client sent along; none of a resumed session.
    intermediates: Vec<X509>,
    end: Option<Expiry>,
    /// The rules that the certificate was last judged by, and whether they admit it.
    verdict: Mutex<(RulesState, bool)>,
}

impl PresentedCertificate {
    /// Reads the certificate of a handshake that `verifier` has admitted; `None` when the client has
    /// shown none.
    pub fn of(ssl: &SslRef, verifier: &ClientVerifier) -> Option<Self> {
        let leaf = ssl.peer_certificate()?;
        let sent = ssl.peer_cert_chain().into_iter().flatten().map(ToOwned::to_owned);
        let end = match ssl.session().filter(|_| ssl.session_reused()) {
            Some(session) => decode(&ticket_data(session)),
            None => end_of_chain(ssl),
        };
        // A resumed session was not verified now, but when all lists counted.
        let state = match ssl.session_reused() {
            true => verifier.state().before_lists_expired(),
            false => verifier.state(),
        };
        let verdict = Mutex::new((state, true));
        Some(Self { leaf, intermediates: sent.collect(), end, verdict })
    }

    /// Returns whether the certificate, or one that verified it, has ended.
    pub fn has_ended(&self) -> bool {
        self.end.is_some_and(|end| end.is_past(Expiry::now()))
    }

    /// Returns whether the rules in force admit the certificate. It is verified once for each change of
    /// them.
    pub fn is_admitted_by(&self, verifier: &ClientVerifier) -> bool {
        let mut verdict = self.verdict.lock();
        let state = verifier.state();
        if verdict.0 != state {
            *verdict = (state, self.verify(verifier));
        }
        verdict.1
    }

    fn verify(&self, verifier: &ClientVerifier) -> bool {
        if !verifier.allows_name_of(&self.leaf) {
            return false;
        }
        let Some(store) = verifier.store() else { return true };
        is_trusted(store, &self.leaf, self.intermediates.iter().cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_resumed_up_to_the_end_it_keeps_and_without_one_always() {
        let now = Expiry::now().unix_seconds;
        let at = |unix_seconds| encode(Expiry { unix_seconds });
        assert!(EndOfCertificates::may_resume(&at(now + 60)));
        assert!(!EndOfCertificates::may_resume(&at(now - 1)));
        assert!(EndOfCertificates::may_resume(&[]));
    }
}
