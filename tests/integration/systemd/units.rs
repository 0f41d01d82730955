//! `systemd/`: the units are well-formed and leave the service little to do harm with.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::process::Finished;
use crate::support::*;

/// The units with the program where it was built: `verify` looks whether it is there.
fn units() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let binary = guard::binary().get_program().to_str().unwrap().to_owned();
    for entry in fs::read_dir(source).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let unit = fs::read_to_string(&path).unwrap();
            // There is no manual page of a program that is not installed.
            let lines = unit.lines().filter(|line| !line.starts_with("Documentation=man:"));
            let unit = lines.collect::<Vec<_>>().join("\n");
            let unit = unit.replace("/usr/bin/exporter-guard", &binary);
            fs::write(dir.path().join(path.file_name().unwrap()), unit).unwrap();
        }
    }
    dir
}

fn analyze(dir: &TempDir, args: &[&str]) -> Finished {
    let mut analyze = process::command("systemd-analyze");
    Finished::run(analyze.args(args), dir.path(), b"").expect_code(0)
}

#[test]
fn the_units_verify_without_a_warning() {
    let dir = units();
    for unit in
        ["./exporter-guard.service", "./exporter-guard.socket", "./exporter-guard@a.service"]
    {
        let verified = analyze(&dir, &["verify", unit]);
        assert_eq!(verified.stderr, "", "{verified}");
    }
}

#[test]
fn the_exposure_of_the_units_is_at_most_1_5() {
    let dir = units();
    for unit in ["./exporter-guard.service", "./exporter-guard@a.service"] {
        // The threshold is in tenths; beyond it the exit code is 1.
        analyze(&dir, &["security", "--offline=yes", "--threshold=15", unit]);
    }
}

/// Each drop-in changes a unit that there is, and nothing that is not known.
#[test]
fn the_drop_ins_verify() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/exporter-guard.service.d");
    let dir = units();
    let place = dir.path().join("exporter-guard.service.d");
    fs::create_dir(&place).unwrap();
    let text = fs::read_to_string(source.join("hot-reload.conf")).unwrap();
    let binary = guard::binary().get_program().to_str().unwrap().to_owned();
    fs::write(place.join("hot-reload.conf"), text.replace("/usr/bin/exporter-guard", &binary))
        .unwrap();
    let verified = analyze(&dir, &["verify", "./exporter-guard.service"]);
    assert_eq!(verified.stderr, "", "{verified}");
    // Only systemd 253 and later know `notify-reload`.
    let text = fs::read_to_string(source.join("notify-reload.conf")).unwrap();
    assert!(text.contains("Type=notify-reload\nExecReload=\n"), "{text}");
}

/// `%d/web.yml` with relative names is what `init` makes.
#[test]
fn the_credentials_are_what_init_makes() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/exporter-guard.service");
    let unit = fs::read_to_string(unit).unwrap();
    let dir = tempfile::tempdir().unwrap();
    guard::run(dir.path(), &["init", "--directory", "made", "--hostname", "a"]).expect_code(0);
    for entry in fs::read_dir(dir.path().join("made")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let line = format!("LoadCredential={name}:/etc/exporter-guard/{name}\n");
        assert!(unit.contains(&line), "{line}");
    }
}
