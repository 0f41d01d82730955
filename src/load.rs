//! From a file to what a snapshot is built of: the configuration, and the certificates and keys it
//! names. Every problem of both is reported together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::routes::Terms;
use crate::config::{self, Config, Finding, PerListener, Reading, Sources};
use crate::tls::material::{Identity, UpstreamIdentity};

/// A configuration that can be put in force.
pub struct Loaded {
    pub config: Config,
    /// With TLS.
    pub identities: PerListener<Option<Identity>>,
    /// By the names of the routes that have one.
    pub upstream_identities: HashMap<String, Arc<UpstreamIdentity>>,
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
    let identities =
        reading.tls.as_ref().map(|tls| Identity::read(tls.as_ref()?, &mut reading.findings));
    let mut of_terms: HashMap<*const Terms, Option<Arc<UpstreamIdentity>>> = HashMap::new();
    let mut upstream_identities = HashMap::new();
    for route in reading.config.iter().flat_map(|config| config.proxy.routes()) {
        let Some(tls) = &route.terms.upstream_tls else { continue };
        let read = || UpstreamIdentity::read(tls, &mut reading.findings).map(Arc::new);
        let identity = of_terms.entry(Arc::as_ptr(&route.terms)).or_insert_with(read);
        upstream_identities.extend(identity.clone().map(|identity| (route.name.clone(), identity)));
    }
    let sources = reading.sources;
    let rejected = reading.findings.has_errors();
    let findings = reading.findings.into_sorted();
    match reading.config {
        Some(config) if !rejected => {
            Ok(Loaded { config, identities, upstream_identities, warnings: findings, sources })
        }
        _ => Err(Rejected { findings, sources }),
    }
}
