//! From a file to what a snapshot is built of: the configuration, and the certificates and keys it
//! names. Every problem of both is reported together.

use std::collections::HashMap;
use std::path::Path;

use crate::config::{self, Config, Finding, Reading, Sources};
use crate::tls::material::{Identity, UpstreamIdentity};

/// A configuration that can be put in force.
pub struct Loaded {
    pub config: Config,
    /// With TLS.
    pub identity: Option<Identity>,
    /// By the names of the routes that have one.
    pub upstream_identities: HashMap<String, UpstreamIdentity>,
    pub warnings: Vec<Finding>,
    pub sources: Sources,
}

/// A configuration that cannot.
pub struct Rejected {
    /// Errors and warnings in the order of their lines.
    pub findings: Vec<Finding>,
    /// What to watch for it to become better.
    pub sources: Sources,
}

/// Read the file and every file it names.
pub fn load(path: &Path) -> Result<Loaded, Rejected> {
    complete(config::read(path))
}

/// Add what the certificates and keys hold to what the file holds.
pub fn complete(mut reading: Reading) -> Result<Loaded, Rejected> {
    let others = reading.config.as_ref().map(|config| config.proxy.certificates.as_slice());
    let others = others.unwrap_or_default();
    let tls = reading.tls.as_ref();
    let identity = tls.and_then(|tls| Identity::read(tls, others, &mut reading.findings));
    let mut upstream_identities = HashMap::new();
    for route in reading.config.iter().flat_map(|config| config.proxy.routes.iter().flatten()) {
        let identity = route.upstream_tls.as_ref();
        let identity = identity.and_then(|tls| UpstreamIdentity::read(tls, &mut reading.findings));
        upstream_identities.extend(identity.map(|identity| (route.name.clone(), identity)));
    }
    let sources = reading.sources;
    let rejected = reading.findings.has_errors();
    let findings = reading.findings.into_sorted();
    match reading.config {
        Some(config) if !rejected => {
            Ok(Loaded { config, identity, upstream_identities, warnings: findings, sources })
        }
        _ => Err(Rejected { findings, sources }),
    }
}
