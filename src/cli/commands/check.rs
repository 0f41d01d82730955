//! `check`: prints the findings that a start would report of configuration files, without starting.

use std::io::Write;
use std::sync::Arc;

use crate::cli::CheckArgs;
use crate::config::{Severity, Upstream};
use crate::os::exit_codes;
use crate::routing;
use crate::snapshot::{Snapshot, load};

/// Prints one line per finding, and returns the exit code: 1 when a file has an error, or, with
/// `--strict`, a warning.
pub fn run(args: &CheckArgs) -> u8 {
    let mut findings = Vec::new();
    let mut routes = Vec::new();
    for file in &args.files {
        match load::load(file) {
            Ok(loaded) => {
                let has_users = !loaded.config.users.is_empty();
                let explain = |route: &Arc<_>| routing::explain(route, has_users);
                routes.extend(loaded.config.proxy.routes.iter().map(explain));
                findings.extend(loaded.warnings.iter().cloned());
                findings.extend(
                    Snapshot::build(loaded, &Upstream::Own, None).err().unwrap_or_default(),
                );
            }
            Err(rejected) => findings.extend(rejected.findings),
        }
    }
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        // A closed pipe is ignored: the exit code is what counts.
        let _ = writeln!(out, "{finding}");
    }
    for route in routes.iter().filter(|_| args.explain) {
        let _ = writeln!(out, "{route}");
    }
    let fails = |severity| severity == Severity::Error || args.strict;
    if findings.iter().any(|finding| fails(finding.severity)) { exit_codes::FAILURE } else { 0 }
}
