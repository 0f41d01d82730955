//! TLS to an exporter: the trusted CAs and the guard's own client certificate.

use std::net::SocketAddr;
use std::sync::Arc;

use openssl::x509::X509;
use pingora::prelude::HttpPeer;
use pingora::utils::tls::CertKey;

use crate::tls::material::UpstreamMaterial;

/// The TLS settings that the connections of a route share.
pub struct ClientTls {
    ca: Arc<Box<[X509]>>,
    /// The guard's own certificate and key.
    client_certificate: Option<Arc<CertKey>>,
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
        peer
    }
}
