//! The container images: built from the Dockerfiles that are shipped, and run without an engine.
//!
//! buildah takes the static binary (`make static`) in place of the stage that builds it, and
//! Debian's exporter in place of the official image, so that no registry is asked.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{Finished, Process, command};
use crate::support::*;

const USER: u32 = 65532;
const MEGABYTE: u64 = 1_000_000;
const LABEL: &str = "org.opencontainers.image.";

/// buildah with a store of its own.
struct Builder(TempDir);

impl Builder {
    fn new() -> Self {
        // SAFETY: has no preconditions.
        let user = unsafe { libc::geteuid() };
        assert_eq!(user, 0, "buildah, and namespaces with another user, are for root");
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn run(&self, args: &[&str]) -> String {
        let mut buildah = command("buildah");
        buildah.args(["--storage-driver", "vfs"]);
        buildah.arg("--root").arg(self.0.path().join("store"));
        buildah.arg("--runroot").arg(self.0.path().join("run"));
        Finished::run(buildah.args(args), self.project(), b"").expect_code(0).stdout
    }

    fn project(&self) -> &Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn build(&self, tag: &str, file: &str, stage: &str, stand_in: &Path) {
        let stage = format!("{stage}={}", stand_in.display());
        let context = self.project().join(file).parent().unwrap().display().to_string();
        let pulled = "--pull=never";
        self.run(&[
            "build",
            "--isolation",
            "chroot",
            "--format",
            "docker",
            pulled,
            "--build-context",
            &stage,
            "--file",
            file,
            "--tag",
            tag,
            &context,
        ]);
    }

    /// The guard's image.
    fn guard(&self) -> Image<'_> {
        let made = self.project().join("target/static");
        assert!(made.join("exporter-guard").exists(), "`make static` builds the binary");
        self.build("exporter-guard", "Dockerfile", "build", &made);
        Image { builder: self, tag: "exporter-guard" }
    }

    /// The image with an exporter, from that of the guard.
    fn node_exporter(&self) -> Image<'_> {
        self.guard();
        let stage = self.0.path().join("exporter");
        fs::create_dir_all(stage.join("bin")).unwrap();
        fs::copy("/usr/bin/prometheus-node-exporter", stage.join("bin/node_exporter")).unwrap();
        let file = "conf/container/Dockerfile.node-exporter";
        self.build("guarded", file, "exporter", &stage);
        Image { builder: self, tag: "guarded" }
    }
}

struct Image<'a> {
    builder: &'a Builder,
    tag: &'a str,
}

impl Image<'_> {
    fn config(&self) -> Value {
        let text = self.builder.run(&["inspect", "--type", "image", self.tag]);
        let inspected: Value = serde_json::from_str(&text).expect("JSON");
        inspected["Docker"]["config"].clone()
    }

    fn command(&self) -> Vec<String> {
        let config = self.config();
        let words = config["Entrypoint"].as_array().expect("an entrypoint");
        words.iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    /// As it is pushed: manifest, configuration and compressed layers.
    fn pushed(&self) -> PathBuf {
        let dir = self.builder.0.path().join(format!("{}.pushed", self.tag));
        self.builder.run(&["push", self.tag, &format!("dir:{}", dir.display())]);
        dir
    }

    /// The root file system of a container.
    fn unpack(&self) -> PathBuf {
        let (pushed, root) = (self.pushed(), self.builder.0.path().join(self.tag));
        fs::create_dir(&root).unwrap();
        let manifest = fs::read_to_string(pushed.join("manifest.json")).expect("a manifest");
        let manifest: Value = serde_json::from_str(&manifest).expect("JSON");
        for layer in manifest["layers"].as_array().expect("layers") {
            let digest = layer["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
            let mut tar = command("tar");
            tar.arg("--extract").arg("--file").arg(pushed.join(digest));
            Finished::run(&mut tar, &root, b"").expect_code(0);
        }
        root
    }
}

/// Files and directories below `root`, sorted, with their sizes.
fn tree(root: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap) {
        let (name, meta) = (entry.file_name().into_string().unwrap(), entry.metadata().unwrap());
        if meta.is_dir() {
            let below = tree(&entry.path()).into_iter();
            found.extend(below.map(|(path, size)| (format!("{name}/{path}"), size)));
            found.push((name, 0));
        } else {
            found.push((name, meta.len()));
        }
    }
    found.sort();
    found
}

fn names(root: &Path) -> Vec<String> {
    tree(root).into_iter().map(|(name, _)| name).collect()
}

/// A container as an engine would start it: namespaces, a root of its own, an own user as PID 1.
/// What it has besides its image is the web configuration, and no address but loopback.
struct Container {
    process: Process,
    first: u32,
    root: PathBuf,
    tls: ServerTls,
}

impl Container {
    fn run(image: &Image<'_>, root: PathBuf, args: &[&str]) -> Self {
        let tls = ServerTls::new();
        let files = root.join("etc/exporter-guard");
        fs::create_dir(root.join("proc")).unwrap();
        fs::create_dir_all(&files).unwrap();
        for (name, content) in [
            ("web.yml", guarded()),
            ("server.crt", tls.identity.chain_pem()),
            ("server.key", tls.identity.key_pem()),
        ] {
            guard::write(&files.join(name), content);
            chown(files.join(name), Some(USER), Some(USER)).unwrap();
        }
        let mut unshare = command("unshare");
        unshare.args(["--fork", "--kill-child=KILL", "--pid", "--net", "--ipc", "--uts"]);
        unshare.arg(format!("--mount-proc={}", root.join("proc").display()));
        let start = "ip link set lo up && root=$1 && shift && \
                     exec chroot --userspec=65532:65532 --groups= \"$root\" \"$@\"";
        unshare.args(["sh", "-c", start, "sh"]).arg(&root);
        unshare.args(image.command()).args(args);
        unshare.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        for variable in image.config()["Env"].as_array().expect("an environment") {
            let (name, value) = variable.as_str().unwrap().split_once('=').unwrap();
            if name != "PATH" {
                unshare.env(name, value);
            }
        }
        let process = Process::spawn(unshare, Path::new("/"));
        process.wait_stderr("the listener", 1, |line| line.contains("listener=web"));
        let first = procfs::children(process.id())[0];
        Self { process, first, root, tls }
    }

    /// Runs in some of its namespaces.
    fn inside(&self, namespaces: &[&str], words: &[&str]) -> Command {
        let mut enter = command("nsenter");
        enter.args(["--target", &self.first.to_string()]).args(namespaces).arg("--").args(words);
        enter
    }

    /// As an engine runs it.
    fn healthcheck(&self, image: &Image<'_>) -> Option<i32> {
        let config = image.config();
        let test = config["Healthcheck"]["Test"].as_array().expect("a health check");
        let words: Vec<&str> = test.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!(words[0], "CMD");
        let all = ["--pid", "--net", "--ipc", "--uts", "--mount", "--root", "--wd=/"];
        let user = [format!("--setuid={USER}"), format!("--setgid={USER}")];
        let namespaces: Vec<&str> =
            all.into_iter().chain(user.iter().map(String::as_str)).collect();
        Finished::run(&mut self.inside(&namespaces, &words[1..]), Path::new("/"), b"").code
    }

    /// The status and the page that curl gets from the port that the image exposes.
    fn scrape(&self, more: &[&str]) -> (String, String) {
        let ca = self.root.join("ca.crt");
        fs::write(&ca, self.tls.ca.pem()).unwrap();
        let mut curl = self.inside(&["--net"], &["curl", "--silent", "--show-error"]);
        curl.arg("--cacert").arg(ca).args(["--write-out", "\n%{http_code}"]);
        curl.args(more).arg("https://localhost:9443/metrics");
        let got = Finished::run(&mut curl, Path::new("/"), b"").expect_code(0).stdout;
        let (page, status) = got.rsplit_once('\n').expect("a status");
        (status.to_owned(), page.to_owned())
    }

    fn expect_guarded(&self, series: &str) {
        assert_eq!(self.scrape(&[]).0, "401");
        let user = format!("{}:{}", SCRAPER.0, SCRAPER.1);
        let (status, page) = self.scrape(&["--user", &user]);
        assert_eq!(status, "200", "{page}");
        assert!(page.contains(series), "{page}");
    }

    fn expect_end(mut self, code: i32) {
        process::kill(self.first, libc::SIGTERM);
        assert_eq!(self.process.wait_exit().code(), Some(code));
    }
}

#[test]
#[ignore = "asks for buildah and a static binary (make image-test)"]
fn the_image_is_one_file_and_says_what_it_is() {
    let builder = Builder::new();
    let image = builder.guard();
    let config = image.config();
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], json!(["/exporter-guard"]));
    assert_eq!(config["Healthcheck"]["Test"], json!(["CMD", "/exporter-guard", "healthcheck"]));
    assert_eq!(config["ExposedPorts"], json!({"9443/tcp": {}}));
    let label = |name: &str| config["Labels"][format!("{LABEL}{name}")].clone();
    assert_eq!(label("title"), env!("CARGO_PKG_NAME"));
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), "Apache-2.0");
    assert!(env!("CARGO_PKG_DESCRIPTION").starts_with(label("description").as_str().unwrap()));

    let root = image.unpack();
    assert_eq!(names(&root), ["exporter-guard"]);
    let binary = fs::metadata(root.join("exporter-guard")).unwrap();
    assert_eq!(binary.permissions().mode() & 0o7777, 0o755);
    let pushed: u64 = tree(&image.pushed()).iter().map(|(_, size)| size).sum();
    println!("the binary: {} bytes; the image as it is pushed: {pushed} bytes", binary.len());
    assert!(binary.len() < 10 * MEGABYTE, "{} bytes", binary.len());
}

/// As with compose: the exporter is another container, known by its name.
#[test]
#[ignore = "asks for buildah and a static binary (make image-test)"]
fn the_image_guards_an_exporter_beside_it() {
    let builder = Builder::new();
    let image = builder.guard();
    let root = image.unpack();
    guard::write(&root.join("etc/hosts"), "127.0.0.1 localhost\n127.0.0.1 node-exporter\n");
    let container = Container::run(&image, root, &["--upstream=http://node-exporter:9100"]);
    let listen = "--web.listen-address=127.0.0.1:9100";
    let exporter = container.inside(&["--net"], &["prometheus-node-exporter", listen]);
    let exporter = Process::spawn(exporter, Path::new("/"));
    exporter.wait_stderr("the exporter", 1, |line| line.contains("Listening on"));
    assert_eq!(container.healthcheck(&image), Some(0));
    container.expect_guarded("node_exporter_build_info");
    container.expect_end(0);
}

#[test]
#[ignore = "asks for buildah and a static binary (make image-test)"]
fn the_image_with_an_exporter_guards_it() {
    let builder = Builder::new();
    let image = builder.node_exporter();
    assert_eq!(image.config()["User"], "65532:65532");
    let root = image.unpack();
    assert_eq!(names(&root), ["bin", "bin/node_exporter", "exporter-guard"]);
    add_libraries(&root, "bin/node_exporter");
    let container =
        Container::run(&image, root, &["--collector.disable-defaults", "--collector.uname"]);
    eventually("healthy", || container.healthcheck(&image) == Some(0));
    container.expect_guarded("node_uname_info");
    // The exporter's, which has no handler.
    container.expect_end(128 + libc::SIGTERM);
}

/// Debian's exporter is linked dynamically; that of the official image needs none.
fn add_libraries(root: &Path, program: &str) {
    let listed = Finished::run(command("ldd").arg(root.join(program)), root, b"").expect_code(0);
    let words = listed.stdout.split_whitespace().filter(|word| word.starts_with('/'));
    for library in words.map(Path::new) {
        let copy = root.join(library.strip_prefix("/").unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(library, copy).unwrap();
    }
}
