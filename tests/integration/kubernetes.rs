//! conf/kubernetes: what the manifests say is what the guard understands, from the files as the
//! kubelet mounts them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::Value;

use crate::support::kubernetes::Volume;
use crate::support::process::{Finished, Process};
use crate::support::*;

/// Where the manifest has everything mounted.
const ROOT: &str = "/etc/exporter-guard";

/// The first version with native sidecars, and a late one.
const VERSIONS: [&str; 2] = ["1.29", "1.33"];

/// Kubernetes' own kinds.
const VALIDATED: [&str; 7] = [
    "daemonset.yaml",
    "config.yaml",
    "client-ca.yaml",
    "scraper.yaml",
    "gateway-deployment.yaml",
    "gateway-service.yaml",
    "gateway-config.yaml",
];

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/kubernetes")
}

fn manifest(name: &str) -> Value {
    let text = fs::read_to_string(directory().join(name)).expect("a manifest");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn items(value: &Value) -> Vec<Value> {
    value.as_sequence().cloned().unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value:?}")).to_owned()
}

struct Pod {
    spec: Value,
    guard: Value,
}

impl Pod {
    fn new() -> Self {
        let spec = manifest("daemonset.yaml")["spec"]["template"]["spec"].clone();
        let guard = spec["initContainers"][0].clone();
        Self { spec, guard }
    }

    /// What is mounted where, of Secrets and ConfigMaps.
    fn mounts(&self) -> Vec<(String, PathBuf)> {
        let mounts = items(&self.guard["volumeMounts"]).into_iter().map(|mount| {
            assert!(
                mount.get("subPath").is_none(),
                "a file that is mounted by itself never changes"
            );
            assert_eq!(mount["readOnly"], true);
            let volumes = items(&self.spec["volumes"]);
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]);
            let volume = volume.expect("the volume that is mounted");
            let source = [&volume["secret"]["secretName"], &volume["configMap"]["name"]];
            let source = source.into_iter().find_map(Value::as_str).expect("a source");
            (source.to_owned(), PathBuf::from(text(&mount["mountPath"])))
        });
        mounts.collect()
    }
}

/// The place of a mounted directory below `root`.
fn below(root: &Path, mounted: &Path) -> PathBuf {
    root.join(mounted.strip_prefix(ROOT).expect("mounted where all is mounted"))
}

#[test]
fn the_guard_runs_as_the_manifest_has_it_and_sees_what_rotates() {
    let exporter = Exporter::new();
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap().to_owned();
    let (mut tls, clients) = (ServerTls::new(), Authority::new("clients"));
    let config = text(&manifest("config.yaml")["stringData"]["web.yml"]).replace(ROOT, &root);
    let pair = |tls: &ServerTls| [tls.identity.chain_pem(), tls.identity.key_pem()];
    let pod = Pod::new();
    let mounts = pod.mounts();
    let place = |source: &str| {
        let mount = mounts.iter().find(|(name, _)| name == source);
        below(dir.path(), &mount.unwrap_or_else(|| panic!("{source} is not mounted")).1)
    };
    let (config_root, tls_root) = (place("exporter-guard-config"), place("exporter-guard-tls"));
    let client_ca = manifest("client-ca.yaml");
    let ca_root = place(&text(&client_ca["metadata"]["name"]));
    assert!(client_ca["data"]["ca.crt"].is_string());
    let mut config_volume = Volume::new(&config_root, &[("web.yml", &config)]);
    let [cert, key] = pair(&tls);
    let mut tls_volume = Volume::new(&tls_root, &[("tls.crt", &cert), ("tls.key", &key)]);
    Volume::new(&ca_root, &[("ca.crt", &clients.pem())]);

    let mut command = guard::binary();
    for arg in items(&pod.guard["args"]) {
        // The addresses are for a host of one's own.
        command.arg(match text(&arg).replace(ROOT, &root).split_once('=') {
            Some((flag, _)) if flag.ends_with("listen-address") => format!("{flag}=127.0.0.1:0"),
            Some(("--upstream", _)) => format!("--upstream={exporter}"),
            Some((flag, value)) => format!("{flag}={value}"),
            None => text(&arg),
        });
    }
    let guard = Process::spawn(command, dir.path());
    let (port, telemetry) = (guard.port_of("web"), guard.port_of("telemetry"));
    let scraper = manifest("scraper.yaml")["stringData"].clone();
    let (user, password) = (text(&scraper["username"]), text(&scraper["password"]));
    let scrape = |tls: &ServerTls| {
        TlsClient::new().trust(&tls.ca).connect(port).get_as((&user, &password), "/metrics").status
    };
    assert_eq!(scrape(&tls), 200);

    // The probes.
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let words = items(&pod.guard[probe]["exec"]["command"]);
        let words: Vec<String> = words.iter().map(text).collect();
        assert_eq!(words[0], "/exporter-guard", "as the image has it");
        let mut probe = guard::binary();
        probe.args(&words[1..]);
        probe.arg(format!("--telemetry.listen-address=127.0.0.1:{telemetry}"));
        Finished::run(&mut probe, dir.path(), b"").expect_code(0);
    }

    // cert-manager renews, the operator changes the configuration.
    let generation = |count: usize| {
        guard.wait_stderr("a reload", count, guard::is_reload);
    };
    tls = ServerTls::new();
    let [cert, key] = pair(&tls);
    tls_volume.update(&[("tls.crt", &cert), ("tls.key", &key)]);
    generation(1);
    assert_eq!(scrape(&tls), 200, "with the new certificate");
    config_volume.update(&[("web.yml", &config.replace("prometheus:", "somebody:"))]);
    generation(2);
    assert_eq!(scrape(&tls), 401);
}

#[test]
fn containers_of_the_manifests_have_no_privileges() {
    let pod = Pod::new();
    assert_eq!(pod.guard["restartPolicy"], "Always", "a native sidecar");
    assert_eq!(pod.spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod.spec["automountServiceAccountToken"], false);
    let containers = [items(&pod.spec["initContainers"]), items(&pod.spec["containers"])].concat();
    for container in containers {
        let context = &container["securityContext"];
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(text(&context["capabilities"]["drop"][0]), "ALL");
        assert!(container["resources"]["limits"]["memory"].is_string());
    }
    // The exporter answers the guard alone.
    let exporter = items(&pod.spec["containers"][0]["args"]);
    assert!(exporter.contains(&"--web.listen-address=127.0.0.1:9100".into()), "{exporter:?}");
}

#[test]
fn references_between_manifests_resolve() {
    let mut files: Vec<String> = fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml") && name != "kustomization.yaml")
        .collect();
    files.sort();
    let listed: Vec<String> =
        items(&manifest("kustomization.yaml")["resources"]).iter().map(text).collect();
    for file in &listed {
        assert!(files.contains(file), "{file}");
    }
    let names: Vec<String> =
        files.iter().map(|file| text(&manifest(file)["metadata"]["name"])).collect();
    for file in ["podmonitor.yaml", "scrapeconfig.yaml"] {
        let spec = serde_yaml::to_string(&manifest(file)["spec"]).unwrap();
        assert!(spec.contains("exporter-guard-scraper"), "{file}");
    }
    assert!(names.contains(&"exporter-guard-scraper".to_owned()), "{names:?}");
    let endpoint = &manifest("podmonitor.yaml")["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], Pod::new().guard["ports"][0]["name"]);
}

/// Prometheus refuses a certificate without the name that it asks for.
#[test]
fn the_certificate_has_the_names_that_are_asked_for() {
    let certificate = items(&manifest("certificate.yaml")["spec"]["dnsNames"]);
    let endpoint = manifest("podmonitor.yaml")["spec"]["podMetricsEndpoints"][0].clone();
    let discovery = manifest("scrapeconfig.yaml")["spec"]["httpSDConfigs"][0].clone();
    let url: http::Uri = text(&discovery["url"]).parse().unwrap();
    for name in [&text(&endpoint["tlsConfig"]["serverName"]), url.host().unwrap()] {
        assert!(certificate.contains(&name.into()), "{name}: {certificate:?}");
    }
    let service = manifest("gateway-service.yaml")["metadata"].clone();
    let address = format!("{}.{}.svc", text(&service["name"]), text(&service["namespace"]));
    assert_eq!(url.host(), Some(address.as_str()));
}

/// The example of a gateway is one that `check` knows nothing against.
#[test]
fn the_gateway_of_the_manifests_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_str().unwrap();
    let tls = ServerTls::new();
    let config = text(&manifest("gateway-config.yaml")["stringData"]["gateway.yml"]);
    guard::write(&dir.path().join("gateway.yml"), config.replace(ROOT, root));
    guard::write_pair(&dir.path().join("tls"), "tls", &tls.identity);
    let said = guard::run(dir.path(), &["check", "--strict", "--explain", "gateway.yml"]);
    assert_eq!(said.expect_code(0).stdout.lines().count(), 3);
    let pod = manifest("gateway-deployment.yaml")["spec"]["template"]["spec"].clone();
    let args = items(&pod["containers"][0]["args"]);
    assert!(text(&args[0]).ends_with("/config/gateway.yml"), "{args:?}");
}

/// By the schemas that Kubernetes publishes.
#[test]
#[ignore = "asks for kubernetes-validate, which `make stress` installs"]
fn the_manifests_are_valid() {
    let target = Path::new(env!("CARGO_BIN_EXE_exporter-guard")).parent().and_then(Path::parent);
    let validator = target.unwrap().join("kubernetes-validate/bin/kubernetes-validate");
    for version in VERSIONS {
        for file in VALIDATED {
            let mut validate = process::command(&validator);
            validate.args(["--strict", "-k", version]).arg(directory().join(file));
            Finished::run(&mut validate, &directory(), b"").expect_code(0);
        }
    }
}
