use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::OnceLock;

use exporter_guard::config::Upstream;
use exporter_guard::config::{Severity, routes};
use exporter_guard::snapshot::load::{self, LoadError, Loaded};

const WEB_CONFIG: &str = "proxy:
  file_sd_configs:
  - files: [targets.yml]
    path: /fleet
    access: [{networks: [192.0.2.0/24]}]
";

/// Checks the routes that a targets file of any content makes: each leads to one exporter by TCP,
/// under a path and a name of its own, for the clients that the web configuration names.
pub fn file_sd(text: &[u8]) {
    let directory = directory();
    std::fs::write(directory.join("targets.yml"), text).expect("a file of our own");
    let config = match load::load(&directory.join("web.yml")) {
        Ok(Loaded { config, .. }) => config,
        Err(LoadError { findings, .. }) => {
            let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
            assert_ne!(errors.count(), 0, "rejected without a reason");
            assert!(findings.iter().all(|finding| !finding.message.is_empty()));
            return;
        }
    };
    let routes = config.proxy.routes;
    let (mut names, mut prefixes) = (HashSet::new(), HashSet::new());
    for route in &routes {
        assert!(names.insert(&route.name) && prefixes.insert(route.prefix.as_str()), "{route:?}");
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        assert!(!route.name.is_empty() && route.name.chars().all(plain), "{route:?}");
        assert_eq!(route.prefix.as_str(), format!("/fleet/{}", route.name));
        assert!(routes::is_plain(route.prefix.as_str()).is_ok(), "{route:?}");
        let path = route.metrics_path().expect("something to scrape");
        assert!(routes::is_plain(&path).is_ok(), "{route:?}");
        assert!(matches!(
            route.upstreams.as_slice(),
            [Upstream::Http { host, .. } | Upstream::Https { host, .. }] if !host.is_empty()
        ));
        let [rule] = route.policy.access.rules() else { panic!("{route:?}") };
        assert!(rule.networks.is_some() && route.policy.public_paths.is_empty());
        for label in ["__scheme__", "__metrics_path__", "__address__"] {
            assert!(!route.labels.contains_key(label), "{route:?}");
        }
    }
}

/// Returns a directory for the files, in memory where there is such a file system.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let directory = parent.join(format!("exporter-guard-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a directory of our own");
        std::fs::write(directory.join("web.yml"), WEB_CONFIG).expect("a file of our own");
        directory
    })
}
