//! Manual pages, completions, and the Debian package.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::process::Finished;
use crate::support::*;

/// By cargo, since `cargo test --test integration` builds no examples.
fn manual(directory: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut manual = process::command(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    manual.args(["run", "--locked", "--quiet", "--example=manual", "--"]).arg(directory);
    Finished::run(&mut manual, root, b"").expect_code(0);
}

/// The long options in a help text.
fn options(help: &str) -> Vec<&str> {
    let words = help.split(|c: char| c.is_whitespace() || ",[)".contains(c));
    let mut options: Vec<&str> =
        words.filter(|word| word.starts_with("--") && word.len() > 2).collect();
    options.sort_unstable();
    options.dedup();
    options
}

#[test]
fn every_option_is_in_the_manual_and_in_the_completions() {
    let dir = tempfile::tempdir().unwrap();
    manual(dir.path());
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let completions = ["exporter-guard.bash", "_exporter-guard", "exporter-guard.fish"].map(read);
    let subcommands = ["", "check", "hash-password", "init", "quickstart", "healthcheck"];
    for subcommand in subcommands {
        let args: Vec<&str> =
            [subcommand, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let help = guard::run(dir.path(), &args).expect_code(0).stdout;
        let page = match subcommand {
            "" => read("exporter-guard.1"),
            name => read(&format!("exporter-guard-{name}.1")),
        };
        let page = page.replace('\\', "");
        let found = options(help.split_once("Options:").expect("options").1);
        assert!(found.contains(&"--help"), "{help}");
        for option in found {
            assert!(page.contains(option), "{subcommand}: {option} in the manual");
            for text in &completions {
                // fish writes them without the dashes.
                let bare = option.trim_start_matches('-');
                assert!(text.contains(option) || text.contains(&format!("-l {bare}")), "{option}");
            }
        }
    }
}

/// A root directory of dpkg's own.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["info", "updates", "triggers", "parts"] {
            fs::create_dir_all(dir.path().join("var/lib/dpkg").join(name)).unwrap();
        }
        for name in ["status", "available"] {
            fs::write(dir.path().join("var/lib/dpkg").join(name), "").unwrap();
        }
        Self(dir)
    }

    fn dpkg(&self, args: &[&str]) {
        let mut dpkg = process::command("dpkg");
        dpkg.arg(format!("--root={}", self.0.path().display()));
        // There is no shell in there.
        dpkg.args(["--force-depends", "--force-script-chrootless", "--force-not-root"]);
        dpkg.args(["--log=/dev/null"]).args(args);
        Finished::run(&mut dpkg, self.0.path(), b"").expect_code(0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// A package of what was built for the tests.
fn package(version: &str, output: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_exporter-guard"));
    let target = binary.parent().and_then(Path::parent).unwrap();
    fs::create_dir_all(target.join("manual")).unwrap();
    manual(&target.join("manual"));
    let mut deb = process::command(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    deb.args(["deb", "--locked", "--no-build", "--no-strip", "--profile=dev", "--fast"]);
    deb.args(["--deb-version", version, "--output"]).arg(output);
    Finished::run(&mut deb, root, b"").expect_code(0);
    let found = fs::read_dir(output).unwrap().map(|entry| entry.unwrap().path());
    let mut found = found.filter(|path| path.to_string_lossy().contains(version));
    found.next().expect("a package")
}

const FILES: [&str; 10] = [
    "usr/bin/exporter-guard",
    "usr/lib/systemd/system/exporter-guard.service",
    "usr/lib/systemd/system/exporter-guard.socket",
    "usr/lib/systemd/system/exporter-guard@.service",
    "usr/share/man/man1/exporter-guard.1.gz",
    "usr/share/man/man1/exporter-guard-check.1.gz",
    "usr/share/bash-completion/completions/exporter-guard",
    "usr/share/zsh/vendor-completions/_exporter-guard",
    "usr/share/fish/vendor_completions.d/exporter-guard.fish",
    "usr/share/doc/exporter-guard/examples/full.yml",
];

#[test]
#[ignore = "asks for cargo-deb, which only the longer tests need"]
fn the_package_is_installed_upgraded_and_removed() {
    let built = tempfile::tempdir().unwrap();
    let [first, second] = ["0.0.1-1", "0.0.1-2"].map(|version| package(version, built.path()));
    let root = Root::new();
    root.dpkg(&["--install", first.to_str().unwrap()]);
    for file in FILES {
        assert!(root.path(file).is_file(), "{file}");
    }
    let mode = fs::metadata(root.path(FILES[0])).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    let mut installed = process::command(root.path(FILES[0]));
    let version = Finished::run(installed.arg("--version"), root.0.path(), b"").expect_code(0);
    assert!(version.stdout.starts_with("exporter-guard "), "{version}");
    // The very units that systemd-analyze is asked about elsewhere: it verifies none in a root
    // that holds nothing else.
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for unit in ["exporter-guard.service", "exporter-guard.socket", "exporter-guard@.service"] {
        let place = root.path("usr/lib/systemd/system").join(unit);
        let [installed, own] = [place, source.join(unit)].map(|path| fs::read(path).unwrap());
        assert!(installed == own, "{unit}");
    }
    // Not started before it is configured.
    assert!(!root.path("etc/systemd/system/multi-user.target.wants").exists());

    let config = root.path("etc/default/exporter-guard");
    let edited = "EXPORTER_GUARD_UPSTREAM=http://127.0.0.1:9200\n";
    fs::write(&config, edited).unwrap();
    root.dpkg(&["--install", second.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&config).unwrap(), edited, "kept on upgrade");

    root.dpkg(&["--remove", "exporter-guard"]);
    for file in FILES {
        assert!(!root.path(file).exists(), "{file}");
    }
    assert_eq!(fs::read_to_string(&config).unwrap(), edited, "kept on removal");
    root.dpkg(&["--purge", "exporter-guard"]);
    assert!(!config.exists());
}
