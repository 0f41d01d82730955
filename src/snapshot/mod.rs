//! The immutable whole that a configuration becomes, and the one place it is swapped.
//!
//! A connection pins its TLS at accept; a request pins one snapshot at its start, so a removed
//! user is refused at the next request on an open connection.

pub mod downgrade;
pub mod load;
pub mod reload;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::header::{HeaderName, HeaderValue};
use openssl::asn1::Asn1Time;
use openssl::hash::MessageDigest;
use openssl::x509::X509Ref;

use crate::auth::{PublicPaths, RateLimiter, Tokens, Users};
use crate::config::{ClientAuth, Config, Finding, Limits, PerListener, Severity, TlsConfig};
use crate::routing::Routes;
use crate::snapshot::load::Loaded;
use crate::tls::material::ServerMaterial;
use crate::tls::{Acceptor, AcceptorError};

/// Everything a connection or a request needs to know of one configuration.
pub struct Snapshot {
    /// 1 at start, one more with every reload.
    pub generation: u64,
    pub config: Config,
    pub tls: PerListener<Option<TlsSnapshot>>,
    pub users: Users,
    pub tokens: Tokens,
    pub public_paths: PublicPaths,
    /// `None`: everything goes to `--upstream`.
    pub routes: Option<Routes>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub rate_limiter: Option<Arc<RateLimiter>>,
}

pub struct TlsSnapshot {
    pub acceptor: Acceptor,
    /// Of the certificate that ends first.
    pub not_after: Expiry,
    fingerprint: Vec<u8>,
}

impl TlsSnapshot {
    fn new(
        tls: &TlsConfig,
        client_auth: ClientAuth,
        identity: &ServerMaterial,
        http2: bool,
    ) -> Result<Self, AcceptorError> {
        Ok(Self {
            acceptor: Acceptor::new(tls, client_auth, identity, http2)?,
            not_after: identity.leaves().map(|leaf| Expiry::of(leaf)).min().unwrap_or_default(),
            fingerprint: identity
                .leaves()
                .filter_map(|leaf| leaf.digest(MessageDigest::sha256()).ok())
                .flat_map(|digest| digest.to_vec())
                .collect(),
        })
    }

    /// SHA-256 of each leaf certificate.
    pub fn fingerprint(&self) -> &[u8] {
        &self.fingerprint
    }
}

/// When a certificate ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Expiry {
    pub unix_seconds: i64,
}

impl Expiry {
    fn of(certificate: &X509Ref) -> Self {
        const DAY: i64 = 24 * 60 * 60;
        // The epoch is a valid time, and every certificate has a valid end: parsing checked it.
        let unix_seconds = Asn1Time::from_unix(0)
            .and_then(|epoch| epoch.diff(certificate.not_after()))
            .map_or(0, |since| i64::from(since.days) * DAY + i64::from(since.secs));
        Self { unix_seconds }
    }
}

impl Snapshot {
    /// Build the whole or nothing. What `previous` knows and the new configuration still wants
    /// lives on: right passwords, and what is left of the rate limit.
    pub fn build(loaded: Loaded, previous: Option<&Snapshot>) -> Result<Self, Vec<Finding>> {
        let rejected = |message: String| {
            vec![Finding {
                file: loaded.sources.web_config().to_owned(),
                line: None,
                severity: Severity::Error,
                message,
            }]
        };
        let config = loaded.config;
        let tls_of = |listener: Option<&str>, (tls, identity): (&Option<TlsConfig>, &Option<_>)| {
            let Some(tls) = tls else { return Ok(None) };
            let place = &tls.place;
            let identity =
                identity.as_ref().ok_or_else(|| format!("{place}: no certificate was loaded"))?;
            let client_auth = config.in_handshake(listener, tls.client_auth);
            TlsSnapshot::new(tls, client_auth, identity, config.http.http2)
                .map(Some)
                .map_err(|error| format!("{place}.{error}"))
        };
        let tls = config.tls.zip(&loaded.identities).map_named(tls_of);
        let tls = tls.transpose().map_err(rejected)?;
        let headers = config
            .http
            .headers
            .iter()
            .map(|(name, value)| Ok((HeaderName::try_from(*name)?, HeaderValue::try_from(value)?)))
            .collect::<Result<_, http::Error>>()
            .map_err(|error| rejected(format!("http_server_config.headers: {error}")))?;
        Ok(Self {
            generation: previous.map_or(1, |previous| previous.generation + 1),
            users: Users::new(&config.users, previous.map(|previous| &previous.users)),
            tokens: Tokens::new(&config.proxy.tokens, previous.map(|previous| &previous.tokens)),
            public_paths: PublicPaths::new(&config.proxy.public_paths),
            routes: config.proxy.routes.as_ref().map(|routes| {
                let previous = previous.and_then(|previous| previous.routes.as_ref());
                Routes::new(routes, &loaded.upstream_identities, previous)
            }),
            rate_limiter: RateLimiter::carry_over(
                config.rate_limit.as_ref(),
                previous.and_then(|previous| previous.rate_limiter.as_ref()),
            ),
            tls,
            headers,
            config,
        })
    }

    pub fn limits(&self) -> &Limits {
        &self.config.proxy.limits
    }

    /// Of one listener.
    pub fn tls(&self, listener: &str) -> Option<&TlsSnapshot> {
        self.tls.of(listener).as_ref()
    }

    pub fn has_tls(&self) -> bool {
        self.tls.iter().any(Option::is_some)
    }

    pub fn http2(&self) -> bool {
        self.has_tls() && self.config.http.http2
    }

    /// Of the certificate that ends first.
    pub fn certificate_expiry(&self) -> Option<Expiry> {
        self.tls.iter().flatten().map(|tls| tls.not_after).min()
    }
}

/// The configuration in force. Readers pay one atomic load.
pub type Current = ArcSwap<Snapshot>;
