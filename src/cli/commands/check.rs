//! `check`: what a start would say about configuration files, without starting.

use std::io::Write;

use crate::cli::CheckArgs;
use crate::config::Severity;
use crate::os::exit_codes;
use crate::routing::Route;
use crate::snapshot::{Snapshot, load};

/// Print one line per finding; the exit code says whether every file would do.
pub fn run(args: &CheckArgs) -> u8 {
    let mut findings = Vec::new();
    let mut routes = Vec::new();
    for file in &args.files {
        match load::load(file) {
            Ok(loaded) => {
                routes.extend(loaded.config.proxy.routes().iter().map(Route::explain));
                findings.extend(loaded.warnings.iter().cloned());
                findings.extend(Snapshot::build(loaded, None).err().unwrap_or_default());
            }
            Err(rejected) => findings.extend(rejected.findings),
        }
    }
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        // A closed pipe has nobody to tell; the exit code is what counts.
        let _ = writeln!(out, "{finding}");
    }
    for route in routes.iter().filter(|_| args.explain) {
        let _ = writeln!(out, "{route}");
    }
    let fails = |severity| severity == Severity::Error || args.strict;
    if findings.iter().any(|finding| fails(finding.severity)) { exit_codes::FAILURE } else { 0 }
}
