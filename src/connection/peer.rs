//! The client at the other end of a connection, as every request of the connection sees it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use openssl::ssl::{NameType, SslRef};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::budget::{self, Charge, Reservation};
use super::deadline::Deadline;
use super::http2::OpenStream;
use super::limits::StreamPermit;
use super::read_ahead::ReadAhead;
use crate::config::{ClientAuth, ClientCertificate};
use crate::tls::{ClientNames, ClientVerifier, PresentedCertificate};

/// Everything that a client has shown in its handshake, judged by the configuration of that moment.
#[derive(Debug)]
pub struct TlsPeerInfo {
    certificate: ClientCertificate,
    presented: Option<PresentedCertificate>,
    names: Option<ClientNames>,
    /// The version, such as `TLSv1.3`.
    version: &'static str,
    /// The name that the client asked for (SNI, RFC 6066 section 3).
    server_name: Option<Box<str>>,
}

impl TlsPeerInfo {
    /// Reads the certificate and the server name of a handshake that asked for `client_auth`.
    pub fn of(ssl: &SslRef, client_auth: ClientAuth, verifier: &ClientVerifier) -> Self {
        let server_name = ssl.servername(NameType::HOST_NAME).map(Into::into);
        let presented = PresentedCertificate::of(ssl, verifier);
        let leaf = ssl.peer_certificate().filter(|_| client_auth.verifies());
        let names = leaf.map(|leaf| ClientNames::of(&leaf));
        let certificate = match presented {
            Some(_) => client_auth.presented_level(),
            None => ClientCertificate::Optional,
        };
        Self { certificate, presented, names, version: ssl.version_str(), server_name }
    }
}

/// Everything that ends with an HTTP/2 stream.
#[derive(Debug)]
pub(super) struct StreamScope {
    /// The count against the limit of streams.
    pub _permit: StreamPermit,
    /// The count of open streams of the connection.
    pub _open: OpenStream,
    /// The memory of the request.
    pub request: Mutex<Charge>,
}

/// The client of a connection, or of one HTTP/2 stream.
#[derive(Debug)]
pub struct Peer {
    /// The listener that accepted the connection, by the name that `--web.listen-address` gives it.
    pub listener: Arc<str>,
    /// `None` on a unix socket.
    pub address: Option<SocketAddr>,
    /// `None` on a plaintext connection.
    pub tls: Option<Arc<TlsPeerInfo>>,
    /// The deadline for the head of a request, shared by all streams of a connection.
    head: Arc<Deadline>,
    /// The deadline for the body of a request; each HTTP/2 stream has its own.
    pub(super) body: Deadline,
    /// The memory that is held for the connection, or for one HTTP/2 stream.
    pub memory: Arc<Reservation>,
    /// The answer that is on its way; each HTTP/2 stream has its own.
    pub read_ahead: ReadAhead,
    /// The scope of one HTTP/2 stream, which lasts as long as anything is held for it.
    stream: Option<StreamScope>,
    /// Notified when the connection is to be closed once its open requests are answered.
    pub(super) closing: Arc<Notify>,
}

impl Peer {
    /// Describes the client of a connection whose request heads are due by `head`.
    pub fn new(
        listener: Arc<str>,
        address: Option<SocketAddr>,
        tls: Option<TlsPeerInfo>,
        head: Arc<Deadline>,
        memory: Arc<Reservation>,
    ) -> Self {
        Self {
            listener,
            address,
            tls: tls.map(Arc::new),
            head,
            body: Deadline::new(),
            memory,
            read_ahead: ReadAhead::default(),
            stream: None,
            closing: Arc::default(),
        }
    }

    /// Returns how much the client has proved by a certificate.
    pub fn certificate(&self) -> ClientCertificate {
        self.tls.as_ref().map_or(ClientCertificate::Optional, |tls| tls.certificate)
    }

    /// Returns the certificate that the client has presented, verified or not.
    pub fn presented(&self) -> Option<&PresentedCertificate> {
        self.tls.as_ref()?.presented.as_ref()
    }

    /// Closes an HTTP/2 connection once the requests that are open on it are answered.
    pub fn close_connection(&self) {
        self.closing.notify_one();
    }

    /// Returns the names in the client's certificate when it was verified.
    pub fn names(&self) -> Option<&ClientNames> {
        self.tls.as_ref()?.names.as_ref()
    }

    /// Returns the name that the client asked for in its handshake (SNI).
    pub fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }

    /// Returns the TLS version of the connection; `None` in plaintext.
    pub fn tls_version(&self) -> Option<&'static str> {
        self.tls.as_ref().map(|tls| tls.version)
    }

    /// Returns the address without its port; `unix` on a unix socket.
    pub fn host(&self) -> String {
        self.address.map_or_else(|| "unix".to_owned(), |address| address.ip().to_string())
    }

    /// Disarms the deadline for the request head. To be called once the engine has read it.
    pub fn head_received(&self) {
        self.head.disarm();
    }

    /// Disarms the deadline for the request body. To be called once the whole body has come.
    pub fn body_received(&self) {
        self.body.disarm();
    }

    /// Returns whether it is the client of an HTTP/2 stream.
    pub fn is_stream(&self) -> bool {
        self.stream.is_some()
    }

    /// Gives back what an HTTP/2 stream holds for its request, which is answered: all that is left
    /// is the end of a small answer.
    pub fn forget_request(&self) {
        if let Some(stream) = &self.stream {
            stream.request.lock().shrink_to(budget::FORGOTTEN_REQUEST);
        }
    }

    /// Returns the same client for one HTTP/2 stream.
    pub(super) fn for_stream(&self, memory: Arc<Reservation>, stream: StreamScope) -> Self {
        Self {
            listener: Arc::clone(&self.listener),
            address: self.address,
            tls: self.tls.clone(),
            head: Arc::clone(&self.head),
            body: Deadline::new(),
            memory,
            read_ahead: ReadAhead::default(),
            stream: Some(stream),
            closing: Arc::clone(&self.closing),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

tokio::task_local! {
    static PEER: Arc<Peer>;
}

/// Returns the client of the request that the current task serves.
///
/// # Panics
///
/// Panics outside a future that [`super::serve`] runs.
pub fn current_peer() -> Arc<Peer> {
    PEER.with(Arc::clone)
}

/// Calls `f` with the answer that is on its way for the request that the current task serves; `None`
/// outside of requests.
pub fn with_read_ahead<R>(f: impl FnOnce(&ReadAhead) -> R) -> Option<R> {
    PEER.try_with(|peer| f(&peer.read_ahead)).ok()
}

/// Runs `future` as the service of a request of `peer`.
pub(super) async fn with_peer<F: Future>(peer: Arc<Peer>, future: F) -> F::Output {
    PEER.scope(peer, future).await
}
