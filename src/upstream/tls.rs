//! TLS to an exporter: whom to trust, and who the guard is.

use std::net::SocketAddr;
use std::sync::Arc;

use openssl::x509::X509;
use pingora::prelude::HttpPeer;
use pingora::utils::tls::CertKey;

use crate::tls::material::UpstreamMaterial;

/// What the connections of a route have in common.
pub struct ClientTls {
    ca: Arc<Box<[X509]>>,
    identity: Option<Arc<CertKey>>,
    server_name: Option<String>,
    /// Over all of it: connections that were made with something else are not used again.
    digest: u64,
}

impl PartialEq for ClientTls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest && self.server_name == other.server_name
    }
}

impl ClientTls {
    pub fn new(identity: &UpstreamMaterial, server_name: Option<&str>) -> Self {
        let pair = identity.client.clone();
        Self {
            ca: Arc::new(identity.ca.clone().into_boxed_slice()),
            identity: pair.map(|(chain, key)| Arc::new(CertKey::new(chain, key))),
            server_name: server_name.map(str::to_owned),
            digest: identity.digest,
        }
    }

    /// HTTP/1.1 over TLS. The name is always checked.
    pub fn peer(&self, address: SocketAddr, host: &str) -> HttpPeer {
        let name = self.server_name.as_deref().unwrap_or(host).to_owned();
        let mut peer = HttpPeer::new(address, true, name);
        peer.options.ca = Some(Arc::clone(&self.ca));
        peer.options.verify_cert = true;
        peer.options.verify_hostname = true;
        peer.client_cert_key = self.identity.clone();
        peer.group_key = self.digest;
        peer
    }
}
