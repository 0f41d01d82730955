//! TLS to an exporter: the trusted CAs and the guard's own client certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use openssl::ssl::SslRef;
use openssl::x509::X509;
use pingora::prelude::HttpPeer;
use pingora::protocols::Digest;
use pingora::utils::tls::CertKey;

use crate::tls::RevocationCheck;
use crate::tls::material::UpstreamMaterial;

/// The TLS settings that the connections of a route share.
pub struct ClientTls {
    ca: Arc<Box<[X509]>>,
    /// The guard's own certificate and key.
    client_certificate: Option<Arc<CertKey>>,
    /// `None`: the exporter's certificate is not checked for revocation.
    revocation: Option<Arc<RevocationCheck>>,
    /// The name that the exporter's certificate must have; `None`: the host of the upstream.
    server_name: Option<String>,
    /// The digest of the CAs, the certificate and the key. Connections that were made with others
    /// are not used again.
    digest: u64,
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.server_name == other.server_name
    }
}

impl ClientTls {
    /// Takes the CAs and the client certificate of a route. `server_name` is the name to check in
    /// place of the upstream's host.
    pub fn new(material: &UpstreamMaterial, server_name: Option<&str>) -> Self {
        let pair = material.client.clone();
        Self {
            ca: Arc::new(material.ca.clone().into_boxed_slice()),
            client_certificate: pair.map(|(chain, key)| Arc::new(CertKey::new(chain, key))),
            revocation: material.revocation.clone(),
            server_name: server_name.map(str::to_owned),
            digest: material.digest,
        }
    }

    /// Makes a peer for HTTP/1.1 over TLS. The name in the exporter's certificate is always
    /// checked.
    pub fn peer(&self, address: SocketAddr, host: &str) -> HttpPeer {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let mut peer = HttpPeer::new(address, true, name);
        peer.options.ca = Some(Arc::clone(&self.ca));
        peer.options.verify_cert = true;
        peer.options.verify_hostname = true;
        peer.client_cert_key = self.client_certificate.clone();
        peer.group_key = self.digest;
        if let Some(check) = self.revocation.clone() {
            peer.options.upstream_tls_handshake_complete_hook =
                Some(Arc::new(move |ssl| Some(Arc::new(Standing::of(Arc::clone(&check), ssl)))));
        }
        peer
    }
}

/// The judgement of an exporter's certificate at its handshake. pingora verifies it, but not by revocation
/// lists.
struct Standing {
    check: Arc<RevocationCheck>,
    passes: bool,
    /// The lists that counted no more then.
    expired_lists: usize,
}

impl Standing {
    fn of(check: Arc<RevocationCheck>, ssl: &SslRef) -> Self {
        let expired_lists = check.lists().expired();
        Self { passes: check.passes(ssl), expired_lists, check }
    }
}

/// Returns whether a connection to an exporter may be used: its certificate is not revoked, and no list
/// has expired since its handshake.
pub fn may_be_used(connection: Option<&Digest>) -> bool {
    let ssl = connection.and_then(|digest| digest.ssl_digest.as_ref());
    let standing = ssl.and_then(|ssl| ssl.extension.get::<Standing>());
    standing.is_none_or(|standing| {
        standing.passes && standing.check.lists().expired() == standing.expired_lists
    })
}
