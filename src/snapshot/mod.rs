//! The immutable whole that a configuration becomes, and the one place where it is swapped.
//!
//! [`load`] reads the files, [`Snapshot::build`] builds the whole or nothing, [`reload`] watches
//! the files and swaps, and [`downgrade`] refuses a reload that would remove a protection. A
//! connection pins its TLS at accept; a request pins one snapshot at its start, so that a removed
//! user is refused at the next request on an open connection.

mod build;
pub mod downgrade;
mod inventory;
pub mod load;
pub mod reload;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{HeaderName, HeaderValue};

use crate::auth::{RateLimiter, Tokens, Users};
use crate::config::{ClientAuth, ClientCertificate, Config, Limits, PerListener, TargetContents};
use crate::observe::metrics::{Certificate, RevocationEntry};
use crate::routing::Routes;
use crate::tls::{Acceptor, ClientVerifier, Expiry};

/// Everything that a connection or a request needs to know of one configuration.
pub struct Snapshot {
    /// 1 at start, one more with every reload.
    pub generation: u64,
    /// The configuration that all of this was built from; the next one is compared with it.
    pub config: Config,
    tls: PerListener<Option<TlsSnapshot>>,
    /// The users of `basic_auth_users`.
    pub users: Users,
    /// The tokens of `proxy.tokens`.
    pub tokens: Tokens,
    /// The routes; without any in the file, the default route.
    pub routes: Routes,
    /// The fields of `http_server_config.headers`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `None`: no limit.
    pub rate_limiter: Option<Arc<RateLimiter>>,
    /// The certificates of listeners and routes, for the metrics.
    certificates: Vec<Certificate>,
    /// The content in force of each file of targets.
    targets: TargetContents,
    /// The files of targets, and whether each is used as it is, for the metrics.
    target_files: Vec<(String, bool)>,
    /// The revocation lists of their CAs, for the metrics.
    revocation_lists: Vec<RevocationEntry>,
    /// The first 64 bits of the digest of the files, in hexadecimal digits.
    hash: String,
}

/// The TLS of one listener.
pub struct TlsSnapshot {
    /// Makes the TLS side of new connections.
    pub acceptor: Acceptor,
    /// The client certificate that a handshake asks for.
    pub handshake_client_auth: ClientAuth,
    /// Judges client certificates, in handshakes and on open connections.
    pub client_verifier: Arc<ClientVerifier>,
    /// The client certificate that a request needs unless it is for a public path.
    pub required_certificate: ClientCertificate,
    /// The end of the certificate that ends first.
    pub not_after: Expiry,
    fingerprint: Vec<u8>,
}

/// The configuration in force. Readers pay one atomic load.
pub type Current = ArcSwap<Snapshot>;

impl Snapshot {
    /// Returns `proxy.limits`.
    pub fn limits(&self) -> &Limits {
        &self.config.proxy.limits
    }

    /// Returns the TLS of a listener; `None`: plaintext.
    pub fn tls(&self, listener: &str) -> Option<&TlsSnapshot> {
        self.tls.of(listener).as_ref()
    }

    /// Returns what a request that came by this listener has to show of a client certificate,
    /// unless it is for a public path.
    pub fn required_certificate(&self, listener: &str) -> ClientCertificate {
        self.tls(listener).map_or(ClientCertificate::Optional, |tls| tls.required_certificate)
    }

    /// Returns whether any listener does TLS.
    pub fn has_tls(&self) -> bool {
        self.tls.iter().any(Option::is_some)
    }

    /// Returns whether listeners with TLS offer HTTP/2.
    pub fn http2(&self) -> bool {
        self.has_tls() && self.config.http.http2
    }

    /// Returns the end of the certificate that ends first; `None` without TLS.
    pub fn certificate_expiry(&self) -> Option<Expiry> {
        self.tls.iter().flatten().map(|tls| tls.not_after).min()
    }

    /// Returns the SHA-256 of each leaf certificate, by listener.
    fn fingerprints(&self) -> Vec<&[u8]> {
        self.tls.iter().flatten().map(|tls| tls.fingerprint.as_slice()).collect()
    }
}
