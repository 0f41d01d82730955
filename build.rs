//! Tells the program what it was built from, for `exporter_guard_build_info`.

use std::path::Path;
use std::process::Command;

/// A value that could not be found out, such as the revision of an unpacked archive.
const UNKNOWN: &str = "unknown";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=EXPORTER_GUARD_REVISION");
    let given = std::env::var("EXPORTER_GUARD_REVISION").ok().filter(|text| !text.is_empty());
    let revision = given.or_else(|| {
        // Changes with every commit and checkout.
        let log = output("git", &["rev-parse", "--git-path", "logs/HEAD"])?;
        if Path::new(&log).exists() {
            println!("cargo::rerun-if-changed={log}");
        }
        output("git", &["rev-parse", "--short=12", "HEAD"])
    });
    let rustc = std::env::var("RUSTC").ok().and_then(|rustc| output(&rustc, &["--version"]));
    let rustc = rustc.and_then(|text| text.split_whitespace().nth(1).map(str::to_owned));
    for (name, value) in [("REVISION", revision), ("RUSTC", rustc)] {
        let value = value.unwrap_or_else(|| UNKNOWN.to_owned());
        println!("cargo::rustc-env=EXPORTER_GUARD_BUILD_{name}={value}");
    }
}

/// Runs a program and returns what it prints; `None` if it fails.
fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
