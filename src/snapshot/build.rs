//! A snapshot out of a loaded configuration: the whole or nothing.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use http::header::{HeaderName, HeaderValue};
use openssl::hash::MessageDigest;

use super::inventory::{unique_certificates, unique_lists};
use super::load::Loaded;
use super::{Snapshot, TlsSnapshot};
use crate::auth::{RateLimiter, Tokens, Users};
use crate::config::{ClientAuth, Config, Finding, PerListener, Severity, TlsConfig, Upstream};
use crate::routing::{RouteContext, Routes};
use crate::tls::material::ServerMaterial;
use crate::tls::{Acceptor, AcceptorError, ClientVerifier, Expiry};

/// The bytes of the files' digest that tell one configuration from another.
const HASH_BYTES: usize = 8;

impl Snapshot {
    /// Builds a snapshot; `upstream` is where the default route leads. The passwords that
    /// `previous` knows to be right, what is left of its rate limit, and its connections to
    /// exporters live on, as far as the new configuration has them.
    ///
    /// # Errors
    ///
    /// Returns what OpenSSL or the HTTP library refuses.
    pub fn build(
        loaded: Loaded,
        upstream: &Upstream,
        previous: Option<&Self>,
    ) -> Result<Self, Vec<Finding>> {
        let rejected = |message: String| {
            vec![Finding {
                file: loaded.files.web_config().to_owned(),
                line: None,
                severity: Severity::Error,
                message,
            }]
        };
        let listeners = loaded.materials.iter().flatten().flat_map(ServerMaterial::describe);
        let upstreams = loaded.upstream_materials.values();
        let certificates = unique_certificates(
            listeners.chain(upstreams.flat_map(|material| material.describe())),
        );
        let of_listeners =
            loaded.materials.iter().flatten().flat_map(ServerMaterial::describe_lists);
        let of_upstreams = loaded.upstream_materials.values();
        let revocation_lists = unique_lists(
            of_listeners.chain(of_upstreams.flat_map(|material| material.describe_lists())),
        );
        let targets = loaded.files.targets().clone();
        let failed = &loaded.failed_targets;
        let names = targets.keys().chain(failed.keys()).collect::<BTreeSet<_>>().into_iter();
        let describe = |file: &PathBuf| (file.display().to_string(), !failed.contains_key(file));
        let target_files = names.map(describe).collect();
        let digest = loaded.files.digest();
        let hash = digest.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
        let config = loaded.config;
        let tls = tls(&config, &loaded.materials).map_err(rejected)?;
        let headers = config
            .http
            .headers
            .iter()
            .map(|(name, value)| Ok((HeaderName::try_from(*name)?, HeaderValue::try_from(value)?)))
            .collect::<Result<_, http::Error>>()
            .map_err(|error| rejected(format!("http_server_config.headers: {error}")))?;
        let context = RouteContext {
            upstream,
            has_users: !config.users.is_empty(),
            upstream_materials: &loaded.upstream_materials,
            previous: previous.map(|previous| &previous.routes),
        };
        Ok(Self {
            generation: previous.map_or(1, |previous| previous.generation + 1),
            users: Users::new(&config.users, previous.map(|previous| &previous.users)),
            tokens: Tokens::new(&config.proxy.tokens, previous.map(|previous| &previous.tokens)),
            routes: Routes::new(&config.proxy.routes, &context),
            rate_limiter: RateLimiter::carry_over(
                config.rate_limit.as_ref(),
                previous.and_then(|previous| previous.rate_limiter.as_ref()),
            ),
            tls,
            headers,
            config,
            certificates,
            revocation_lists,
            targets,
            target_files,
            hash,
        })
    }
}

fn tls(
    config: &Config,
    materials: &PerListener<Option<ServerMaterial>>,
) -> Result<PerListener<Option<TlsSnapshot>>, String> {
    let of_listener = |listener: Option<&str>,
                       (tls, material): (&Option<TlsConfig>, &Option<_>)| {
        let Some(tls) = tls else { return Ok(None) };
        let section = &tls.section;
        let material =
            material.as_ref().ok_or_else(|| format!("{section}: no certificate was loaded"))?;
        let client_auth = config.in_handshake(listener, tls.client_auth);
        TlsSnapshot::new(tls, client_auth, material, config.http.http2)
            .map(Some)
            .map_err(|error| format!("{section}.{error}"))
    };
    config.tls.zip(materials).map_named(of_listener).transpose()
}

impl TlsSnapshot {
    fn new(
        tls: &TlsConfig,
        handshake_client_auth: ClientAuth,
        material: &ServerMaterial,
        http2: bool,
    ) -> Result<Self, AcceptorError> {
        let client_verifier = ClientVerifier::new(tls, handshake_client_auth, material)
            .map_err(|cause| AcceptorError { key: "client_ca_file", cause })?;
        Ok(Self {
            acceptor: Acceptor::new(tls, &client_verifier, material, http2)?,
            client_verifier: Arc::new(client_verifier),
            handshake_client_auth,
            required_certificate: tls.client_auth.required_level(),
            not_after: material.leaves().map(|leaf| Expiry::of(leaf)).min().unwrap_or_default(),
            fingerprint: material
                .leaves()
                .filter_map(|leaf| leaf.digest(MessageDigest::sha256()).ok())
                .flat_map(|digest| digest.to_vec())
                .collect(),
        })
    }
}
