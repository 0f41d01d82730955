//! The metrics of the configuration in force: reloads, certificates and upstreams.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Unit;

use super::family::Family;
use super::now;
use super::upstream::UpstreamHealth;

const RELOADS: Family = Family::counter(
    "exporter_guard_config_reloads",
    &["result"],
    "Attempts to reload the web configuration.",
);
const LAST_SUCCESSFUL: Family = Family::gauge(
    "exporter_guard_config_last_reload_successful",
    &[],
    "Whether the last attempt to load the web configuration succeeded.",
);
const LAST_SUCCESS: Family = Family::gauge(
    "exporter_guard_config_last_reload_success_timestamp",
    &[],
    "When the configuration in force was loaded, since the epoch.",
)
.in_unit(Unit::Seconds);
const GENERATION: Family = Family::gauge(
    "exporter_guard_config_generation",
    &[],
    "Number of the configuration in force, 1 at start.",
);
const CONFIG: Family = Family::info(
    "exporter_guard_config",
    &["hash"],
    "First 64 bits of the SHA-256 of the files of the configuration in force.",
);
const NOT_BEFORE: Family = Family::gauge(
    "exporter_guard_certificate_not_before_timestamp",
    &["use", "subject", "serial"],
    "When a certificate of the configuration begins to be valid, since the epoch.",
)
.in_unit(Unit::Seconds);
const NOT_AFTER: Family = Family::gauge(
    "exporter_guard_certificate_not_after_timestamp",
    &["use", "subject", "serial"],
    "When a certificate of the configuration expires, since the epoch.",
)
.in_unit(Unit::Seconds);
const OPEN_LISTENERS: Family = Family::gauge(
    "exporter_guard_open_listeners",
    &[],
    "Listeners that let everybody through to an exporter.",
);
const NEXT_UPDATE: Family = Family::gauge(
    "exporter_guard_revocation_list_next_update_timestamp",
    &["use", "issuer"],
    "When a certificate revocation list of the configuration stops to count, since the epoch.",
)
.in_unit(Unit::Seconds);
const TARGET_FILES: Family = Family::gauge(
    "exporter_guard_target_file_successful",
    &["file"],
    "Whether a file of targets is used as it is; if not, its last good targets stay.",
);
const RELOAD_THREAD: Family = Family::gauge(
    "exporter_guard_reload_thread_last_run_timestamp",
    &[],
    "When the thread that reloads the configuration last ran, since the epoch.",
)
.in_unit(Unit::Seconds);
const UP: Family = Family::gauge(
    "exporter_guard_upstream_up",
    &["route", "upstream"],
    "Whether the upstream could be reached the last time that a request was sent to it.",
);

/// The families of this module.
pub const FAMILIES: [&Family; 12] = [
    &RELOADS,
    &LAST_SUCCESSFUL,
    &LAST_SUCCESS,
    &GENERATION,
    &CONFIG,
    &OPEN_LISTENERS,
    &NOT_BEFORE,
    &NOT_AFTER,
    &NEXT_UPDATE,
    &RELOAD_THREAD,
    &TARGET_FILES,
    &UP,
];

/// The use of a certificate of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CertificateUse {
    /// The guard shows it to clients.
    Server,
    /// It verifies the certificates of clients.
    ClientCa,
    /// It verifies an exporter with TLS.
    UpstreamCa,
    /// The guard shows it to an exporter.
    UpstreamClient,
}

impl CertificateUse {
    /// Returns the value of the label `use`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::ClientCa => "client_ca",
            Self::UpstreamCa => "upstream_ca",
            Self::UpstreamClient => "upstream_client",
        }
    }
}

/// One certificate of the configuration, without anything secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Certificate {
    /// Its use.
    pub usage: CertificateUse,
    /// Its subject, such as `CN=node1.example.com`.
    pub subject: String,
    /// Its serial number in hexadecimal digits.
    pub serial: String,
    /// The first second of its validity, since the epoch.
    pub not_before: i64,
    /// The last second of its validity, since the epoch.
    pub not_after: i64,
}

/// One certificate revocation list of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RevocationEntry {
    /// The use of the CA whose list it is.
    pub usage: CertificateUse,
    /// The name of the CA.
    pub issuer: String,
    /// The time of the next update, since the epoch.
    pub next_update: i64,
}

/// One exporter of a route.
#[derive(Debug, Clone)]
pub struct UpstreamEntry {
    /// The name of the route.
    pub route: String,
    /// The address, as it is configured.
    pub upstream: String,
    /// Its health.
    pub health: Arc<UpstreamHealth>,
}

/// Everything that the metrics name of one configuration.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// The number of the configuration.
    pub generation: u64,
    /// The digest of its files.
    pub hash: String,
    /// The listeners that let everybody through.
    pub open_listeners: usize,
    /// Its certificates; each once.
    pub certificates: Vec<Certificate>,
    /// Its files of targets, and whether each is used as it is.
    pub target_files: Vec<(String, bool)>,
    /// Its revocation lists; each once.
    pub revocation_lists: Vec<RevocationEntry>,
    /// Its upstreams.
    pub upstreams: Vec<UpstreamEntry>,
    /// The names of its routes.
    pub routes: Vec<String>,
    /// The users, tokens and certificate names that it has.
    pub callers: Vec<(super::CallerKind, String)>,
}

/// The metrics of the configuration in force.
#[derive(Debug, Default)]
pub struct ConfigMetrics {
    succeeded: Counter,
    failed: Counter,
    reload_thread: Gauge<f64, AtomicU64>,
    current: RwLock<Loaded>,
}

#[derive(Debug, Default)]
struct Loaded {
    inventory: Arc<Inventory>,
    is_last_successful: bool,
    /// Seconds since the epoch.
    at: f64,
}

impl ConfigMetrics {
    /// Records the configuration that is now in force.
    pub fn loaded(&self, inventory: Inventory) {
        let inventory = Arc::new(inventory);
        *self.current.write() = Loaded { inventory, is_last_successful: true, at: now() };
    }

    /// Records that the reload thread runs.
    pub fn reload_thread_runs(&self) {
        self.reload_thread.set(now());
    }

    /// Counts a successful reload.
    pub fn reloaded(&self) {
        self.succeeded.inc();
    }

    /// Counts a failed reload; the configuration in force stays.
    pub fn rejected(&self) {
        self.failed.inc();
        self.current.write().is_last_successful = false;
    }

    /// Returns what the configuration in force names.
    pub fn inventory(&self) -> Arc<Inventory> {
        Arc::clone(&self.current.read().inventory)
    }
}

#[allow(clippy::cast_precision_loss, reason = "seconds since the epoch are exact as a float")]
fn seconds(value: i64) -> ConstGauge<f64> {
    ConstGauge::new(value as f64)
}

impl Collector for ConfigMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        let (inventory, is_successful, at) = {
            let current = self.current.read();
            (Arc::clone(&current.inventory), current.is_last_successful, current.at)
        };
        let results = [("success", &self.succeeded), ("failure", &self.failed)];
        RELOADS.write(encoder, results.map(|(name, count)| ([name.to_owned()], count.clone())))?;
        LAST_SUCCESSFUL.write_one(encoder, &ConstGauge::new(u64::from(is_successful)))?;
        LAST_SUCCESS.write_one(encoder, &ConstGauge::new(at))?;
        GENERATION.write_one(encoder, &ConstGauge::new(inventory.generation))?;
        CONFIG.write_info(encoder, [inventory.hash.as_str()])?;
        let certificates = |time: fn(&Certificate) -> i64| {
            inventory.certificates.iter().map(move |certificate| {
                let usage = certificate.usage.name().to_owned();
                let labels = [usage, certificate.subject.clone(), certificate.serial.clone()];
                (labels, seconds(time(certificate)))
            })
        };
        NOT_BEFORE.write(encoder, certificates(|certificate| certificate.not_before))?;
        NOT_AFTER.write(encoder, certificates(|certificate| certificate.not_after))?;
        let open = u64::try_from(inventory.open_listeners).unwrap_or(u64::MAX);
        OPEN_LISTENERS.write_one(encoder, &ConstGauge::new(open))?;
        let lists = inventory.revocation_lists.iter().map(|list| {
            let labels = [list.usage.name().to_owned(), list.issuer.clone()];
            (labels, seconds(list.next_update))
        });
        NEXT_UPDATE.write(encoder, lists)?;
        let files = inventory
            .target_files
            .iter()
            .map(|(file, is_good)| ([file.clone()], ConstGauge::new(u64::from(*is_good))));
        TARGET_FILES.write(encoder, files)?;
        RELOAD_THREAD.write_one(encoder, &self.reload_thread)?;
        let tried = inventory.upstreams.iter().filter_map(|entry| {
            let is_up = entry.health.is_up()?;
            let labels = [entry.route.clone(), entry.upstream.clone()];
            Some((labels, ConstGauge::new(u64::from(is_up))))
        });
        UP.write(encoder, tried)
    }
}
