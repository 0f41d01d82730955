//! Reads everything that a snapshot is built of: the configuration, and the certificates and keys
//! that it names. The problems of both are reported together.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::routes::RoutePolicy;
use crate::config::{
    self, Config, ConfigFiles, Finding, PerListener, Reading, Secret, Severity, TargetContents,
};
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
    /// The error of each file of targets that is not used as it is.
    pub failed_targets: BTreeMap<PathBuf, String>,
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
    complete(config::read(path, TargetContents::new(), TargetContents::new()))
}

/// Reads the file and every file it names. A file of targets that has errors, or that `check` refuses,
/// fails alone: `last_good` has what stands for it, or else it has no targets.
///
/// # Errors
///
/// Returns every problem of the other files, each with its line.
pub fn load_tolerantly(
    path: &Path,
    last_good: &TargetContents,
    check: impl Fn(&Loaded) -> Result<(), Vec<Finding>>,
) -> Result<Loaded, LoadError> {
    let mut substitutes = TargetContents::new();
    let mut failed = BTreeMap::new();
    loop {
        let loaded = complete(config::read(path, substitutes.clone(), last_good.clone())).and_then(
            |loaded| match check(&loaded) {
                Ok(()) => Ok(loaded),
                Err(findings) => Err(LoadError { findings, files: loaded.files }),
            },
        );
        let rejected = match loaded {
            Ok(loaded) => return Ok(Loaded { failed_targets: failed, ..loaded }),
            Err(rejected) => rejected,
        };
        let is_error = |finding: &&Finding| finding.severity == Severity::Error;
        let mut errors: Vec<&Finding> = rejected.findings.iter().filter(is_error).collect();
        let is_of_targets = |finding: &&Finding| rejected.files.is_targets(&finding.file);
        if errors.is_empty() || !errors.iter().all(is_of_targets) {
            return Err(rejected);
        }
        // One step for each file, however much is wrong with it.
        errors.sort_by_key(|finding| &finding.file);
        errors.dedup_by_key(|finding| &finding.file);
        let mut is_progress = false;
        for finding in errors {
            let file = &finding.file;
            let next = match substitutes.get(file) {
                None => last_good.get(file).cloned().unwrap_or_else(|| Secret::new(Vec::new())),
                Some(good) if !good.is_empty() => Secret::new(Vec::new()),
                // Not even an empty file is good: the error is elsewhere.
                Some(_) => continue,
            };
            is_progress = true;
            failed.entry(file.clone()).or_insert_with(|| finding.to_string());
            substitutes.insert(file.clone(), next);
        }
        if !is_progress {
            return Err(rejected);
        }
    }
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
            let (warnings, failed_targets) = (findings, BTreeMap::new());
            Ok(Loaded { config, materials, upstream_materials, warnings, files, failed_targets })
        }
        _ => Err(LoadError { findings, files }),
    }
}
