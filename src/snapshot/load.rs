//! From a file to everything that a snapshot is built of: the configuration, and the certificates
//! and keys that it names. The problems of both are reported together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::config::routes::RoutePolicy;
use crate::config::{self, Config, ConfigFiles, Finding, PerListener, Reading};
use crate::tls::material::{ServerMaterial, UpstreamMaterial};

/// A configuration that can be put in force.
pub struct Loaded {
    /// The file, typed and checked.
    pub config: Config,
    /// The certificates and keys of listeners with TLS.
    pub materials: PerListener<Option<ServerMaterial>>,
    /// CAs and client certificates for upstreams with TLS, by the names of the routes that have
    /// one.
    pub upstream_materials: HashMap<String, Arc<UpstreamMaterial>>,
    /// The warnings that `check` prints.
    pub warnings: Vec<Finding>,
    /// The files that were read.
    pub files: ConfigFiles,
}

/// A configuration that cannot be put in force.
pub struct LoadError {
    /// Errors and warnings in the order of their lines.
    pub findings: Vec<Finding>,
    /// The files to watch for the configuration to become better.
    pub files: ConfigFiles,
}

/// Reads the file and every file it names.
///
/// # Errors
///
/// Returns every problem of the files, each with its line.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    complete(config::read(path))
}

/// Adds what the certificates and keys hold to what the file holds.
///
/// # Errors
///
/// Returns every problem of the files, each with its line.
pub fn complete(mut reading: Reading) -> Result<Loaded, LoadError> {
    let materials =
        reading.tls.as_ref().map(|tls| ServerMaterial::read(tls.as_ref()?, &mut reading.findings));
    // All routes of an entry of `file_sd_configs` share their policy, and so their material.
    let mut by_policy: HashMap<*const RoutePolicy, Option<Arc<UpstreamMaterial>>> = HashMap::new();
    let mut upstream_materials = HashMap::new();
    for route in reading.config.iter().flat_map(|config| &config.proxy.routes) {
        let Some(tls) = &route.policy.upstream_tls else { continue };
        let read = || UpstreamMaterial::read(tls, &mut reading.findings).map(Arc::new);
        let material = by_policy.entry(Arc::as_ptr(&route.policy)).or_insert_with(read);
        upstream_materials.extend(material.clone().map(|material| (route.name.clone(), material)));
    }
    let files = reading.files;
    let has_errors = reading.findings.has_errors();
    let findings = reading.findings.into_sorted();
    match reading.config {
        Some(config) if !has_errors => {
            Ok(Loaded { config, materials, upstream_materials, warnings: findings, files })
        }
        _ => Err(LoadError { findings, files }),
    }
}
