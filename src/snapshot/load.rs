//! From a file to what a snapshot is built of: the configuration, and the certificates and keys it
//! names. Every problem of both is reported together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config;
use crate::config::routes::RoutePolicy;
use crate::config::{Config, ConfigFiles, Finding, PerListener, Reading};
use crate::tls::material::{ServerMaterial, UpstreamMaterial};

/// A configuration that can be put in force.
pub struct Loaded {
    pub config: Config,
    /// With TLS.
    pub identities: PerListener<Option<ServerMaterial>>,
    /// By the names of the routes that have one.
    pub upstream_identities: HashMap<String, Arc<UpstreamMaterial>>,
    pub warnings: Vec<Finding>,
    pub sources: ConfigFiles,
}

/// A configuration that cannot.
pub struct LoadError {
    /// Errors and warnings in the order of their lines.
    pub findings: Vec<Finding>,
    /// What to watch for it to become better.
    pub sources: ConfigFiles,
}

/// Read the file and every file it names.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    complete(config::read(path))
}

/// Add what the certificates and keys hold to what the file holds.
pub fn complete(mut reading: Reading) -> Result<Loaded, LoadError> {
    let identities =
        reading.tls.as_ref().map(|tls| ServerMaterial::read(tls.as_ref()?, &mut reading.findings));
    let mut by_policy: HashMap<*const RoutePolicy, Option<Arc<UpstreamMaterial>>> = HashMap::new();
    let mut upstream_identities = HashMap::new();
    for route in reading.config.iter().flat_map(|config| config.proxy.routes()) {
        let Some(tls) = &route.policy.upstream_tls else { continue };
        let read = || UpstreamMaterial::read(tls, &mut reading.findings).map(Arc::new);
        let identity = by_policy.entry(Arc::as_ptr(&route.policy)).or_insert_with(read);
        upstream_identities.extend(identity.clone().map(|identity| (route.name.clone(), identity)));
    }
    let sources = reading.sources;
    let rejected = reading.findings.has_errors();
    let findings = reading.findings.into_sorted();
    match reading.config {
        Some(config) if !rejected => {
            Ok(Loaded { config, identities, upstream_identities, warnings: findings, sources })
        }
        _ => Err(LoadError { findings, sources }),
    }
}
