//! A TLS client that says exactly what it is told to.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::ssl::{
    Ssl, SslContext, SslMethod, SslOptions, SslSession, SslSessionCacheMode, SslVerifyMode,
    SslVersion,
};
use openssl::x509::X509;

use super::certificates::{Authority, Identity};
use super::wire::{Client, Response, get, tcp, tcp_from};

pub const H2_AND_HTTP1: &[u8] = b"\x02h2\x08http/1.1";
pub const HTTP1: &[u8] = b"\x08http/1.1";

/// What a client offers and expects; by default everything OpenSSL has, and any certificate.
#[derive(Clone, Default)]
pub struct TlsClient {
    trusted: Option<X509>,
    identity: Option<Identity>,
    versions: Option<(SslVersion, SslVersion)>,
    ciphers: Option<String>,
    groups: Option<String>,
    alpn: Option<Vec<u8>>,
    session: Option<SslSession>,
    no_ticket: bool,
    server_name: Option<String>,
    source: Option<[u8; 4]>,
    /// The last session the server gave.
    sessions: Arc<Mutex<Option<SslSession>>>,
}

/// Why a connection came to nothing: the handshake, or in TLS 1.3 the first read.
#[derive(Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TlsClient {
    pub fn new() -> Self {
        Self::default()
    }

    /// Accept only certificates of this CA, for 127.0.0.1.
    pub fn trust(mut self, ca: &Authority) -> Self {
        self.trusted = Some(ca.cert.clone());
        self
    }

    pub fn identity(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    pub fn versions(mut self, min: SslVersion, max: SslVersion) -> Self {
        self.versions = Some((min, max));
        self
    }

    pub fn version(self, version: SslVersion) -> Self {
        self.versions(version, version)
    }

    /// OpenSSL names, TLS 1.2 and below.
    pub fn ciphers(mut self, list: &str) -> Self {
        self.ciphers = Some(list.to_owned());
        self
    }

    pub fn groups(mut self, list: &str) -> Self {
        self.groups = Some(list.to_owned());
        self
    }

    pub fn alpn(mut self, protocols: &[u8]) -> Self {
        self.alpn = Some(protocols.to_vec());
        self
    }

    pub fn resume(mut self, session: SslSession) -> Self {
        self.session = Some(session);
        self
    }

    /// Sessions by id, kept by the server, instead of tickets.
    pub fn without_tickets(mut self) -> Self {
        self.no_ticket = true;
        self
    }

    /// What to call the server (SNI).
    pub fn server_name(mut self, name: &str) -> Self {
        self.server_name = Some(name.to_owned());
        self
    }

    /// Connects from one of the many addresses of the loopback network.
    pub fn from(mut self, source: [u8; 4]) -> Self {
        self.source = Some(source);
        self
    }

    /// The session of the last connection; in TLS 1.3 it comes with the first response.
    pub fn last_session(&self) -> Option<SslSession> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn context(&self) -> SslContext {
        let mut builder = SslContext::builder(SslMethod::tls_client()).unwrap();
        if let Some((min, max)) = self.versions {
            builder.set_min_proto_version(Some(min)).unwrap();
            builder.set_max_proto_version(Some(max)).unwrap();
            if min == SslVersion::TLS1 || min == SslVersion::TLS1_1 {
                // Their signatures are made with SHA-1.
                builder.set_security_level(0);
            }
        }
        if let Some(list) = &self.ciphers {
            builder.set_cipher_list(list).unwrap();
        }
        if let Some(list) = &self.groups {
            builder.set_groups_list(list).unwrap();
        }
        if let Some(protocols) = &self.alpn {
            builder.set_alpn_protos(protocols).unwrap();
        }
        if let Some(identity) = &self.identity {
            builder.set_certificate(&identity.cert).unwrap();
            builder.set_private_key(&identity.key).unwrap();
            for cert in &identity.chain {
                builder.add_extra_chain_cert(cert.clone()).unwrap();
            }
        }
        if self.no_ticket {
            builder.set_options(SslOptions::NO_TICKET);
        }
        match &self.trusted {
            Some(ca) => {
                builder.cert_store_mut().add_cert(ca.clone()).unwrap();
                builder.set_verify(SslVerifyMode::PEER);
            }
            None => builder.set_verify(SslVerifyMode::NONE),
        }
        builder
            .set_session_cache_mode(SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL);
        let sessions = Arc::clone(&self.sessions);
        builder.set_new_session_callback(move |_, session| {
            // A copy: OpenSSL spoils the session of a connection that ends without close_notify.
            let copy = SslSession::from_der(&session.to_der().unwrap()).unwrap();
            *sessions.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        });
        builder.build()
    }

    pub fn try_connect(&self, port: u16) -> Result<Client, Refused> {
        let refused = |error: &dyn fmt::Display| Refused(error.to_string());
        let context = self.context();
        let mut ssl = Ssl::new(&context).unwrap();
        if self.trusted.is_some() {
            ssl.param_mut().set_ip([127, 0, 0, 1].into()).unwrap();
        }
        if let Some(name) = &self.server_name {
            ssl.set_hostname(name).unwrap();
        }
        if let Some(session) = &self.session {
            // SAFETY: the session comes from a context of the same method, as SSL_set_session
            // wants it.
            unsafe { ssl.set_session(session) }.unwrap();
        }
        let stream = match self.source {
            Some(source) => tcp_from(source, port),
            None => tcp(port),
        };
        let stream = stream.map_err(|error| refused(&error))?;
        let stream = ssl.connect(stream).map_err(|error| refused(&error))?;
        Ok(Client::over_tls(stream))
    }

    #[track_caller]
    pub fn connect(&self, port: u16) -> Client {
        self.try_connect(port).unwrap_or_else(|error| panic!("no TLS connection: {error}"))
    }

    /// A whole request: only this shows whether a TLS 1.3 server takes the client's certificate.
    pub fn try_get(&self, port: u16, more: &str) -> Result<Response, Refused> {
        let mut client = self.try_connect(port)?;
        client.send(get("/metrics", more));
        client.try_response().map_err(|error| Refused(error.to_string()))
    }
}
