//! The guard's own metrics: all names and labels are defined here. Every module updates them, and
//! only `/metrics` and the status page read them.
//!
//! A client cannot create a series: labels are names that the configuration has, known methods,
//! statuses, and reasons that this program has words for. `docs/metrics.md` is generated from
//! [`catalogue`].

mod callers;
mod config;
mod connections;
mod exposition;
mod family;
mod process;
mod requests;
mod upstream;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family as Counters;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::log_queue;
use super::recent::Recent;
use callers::CallerMetricsTable;
pub use callers::{CallerKind, VerifierMetrics};
use config::ConfigMetrics;
pub use config::{Certificate, CertificateUse, Inventory, RevocationEntry, UpstreamEntry};
use connections::ConnectionMetrics;
pub use exposition::Format;
pub use family::Family;
use process::ProcessMetrics;
use requests::RequestMetrics;
pub use requests::{Answered, LastRequest};
pub use upstream::UpstreamHealth;

const BUILD: Family = Family::info(
    "exporter_guard_build",
    &["version", "revision", "rustc", "openssl"],
    "Version of this exporter-guard and of what it was built from.",
);
const REFUSALS: Family = Family::counter(
    "exporter_guard_refused_requests",
    &["reason"],
    "Requests refused before they reached an upstream.",
);
const UPSTREAM_FAILURES: Family = Family::counter(
    "exporter_guard_upstream_failures",
    &["reason"],
    "Requests that got no answer from the upstream.",
);
const SHARED: Family = Family::counter(
    "exporter_guard_shared_requests",
    &[],
    "Requests that took the answer of another one, or waited for it.",
);
const LOG_DROPPED: Family = Family::counter(
    "exporter_guard_log_dropped_lines",
    &[],
    "Log lines dropped because standard error was not read fast enough.",
);
const CHILD_RESTARTS: Family = Family::counter(
    "exporter_guard_child_restarts",
    &[],
    "Times the exporter that the guard runs was started again.",
);

const IN_FLIGHT: Family =
    Family::gauge("exporter_guard_in_flight_requests", &[], "Requests that exporters answer now.");
const WAITING: Family = Family::gauge(
    "exporter_guard_waiting_requests",
    &[],
    "Requests that wait because of `max_in_flight`.",
);

const FAMILIES: [&Family; 8] = [
    &BUILD,
    &REFUSALS,
    &UPSTREAM_FAILURES,
    &SHARED,
    &LOG_DROPPED,
    &CHILD_RESTARTS,
    &IN_FLIGHT,
    &WAITING,
];

/// Returns the description of every metric family, sorted by name.
pub fn catalogue() -> Vec<&'static Family> {
    let own: [&[&'static Family]; 6] = [
        &FAMILIES,
        &requests::FAMILIES,
        &callers::FAMILIES,
        &connections::FAMILIES,
        &config::FAMILIES,
        &process::FAMILIES,
    ];
    let mut all = own.concat();
    all.sort_by_key(|family| family.full_name());
    all
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// The counters that belong to no other part.
#[derive(Debug, Default)]
struct GeneralMetrics {
    refusals: Counters<ReasonLabels, Counter>,
    upstream_failures: Counters<ReasonLabels, Counter>,
    shared: Counter,
    child_restarts: Counter,
    in_flight: Gauge,
    waiting: Gauge,
}

impl Collector for GeneralMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        let built = [
            env!("CARGO_PKG_VERSION"),
            env!("EXPORTER_GUARD_BUILD_REVISION"),
            env!("EXPORTER_GUARD_BUILD_RUSTC"),
            openssl::version::version(),
        ];
        BUILD.write_info(encoder, built)?;
        REFUSALS.write_one(encoder, &self.refusals)?;
        UPSTREAM_FAILURES.write_one(encoder, &self.upstream_failures)?;
        SHARED.write_one(encoder, &self.shared)?;
        LOG_DROPPED.write_one(encoder, &log_queue::dropped_lines())?;
        CHILD_RESTARTS.write_one(encoder, &self.child_restarts)?;
        IN_FLIGHT.write_one(encoder, &self.in_flight)?;
        WAITING.write_one(encoder, &self.waiting)
    }
}

/// The guard's own metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    general: Arc<GeneralMetrics>,
    /// The metrics of requests, by route.
    pub requests: Arc<RequestMetrics>,
    /// The metrics of callers and their authentication.
    pub callers: Arc<CallerMetricsTable>,
    /// The metrics of connections and handshakes.
    pub connections: Arc<ConnectionMetrics>,
    config: Arc<ConfigMetrics>,
    /// The latest events, for the status page.
    pub recent: Recent,
}

impl Default for Metrics {
    /// Opens entries of /proc, so it has to be called before the thread enters a sandbox.
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::default(),
            general: Arc::default(),
            requests: Arc::default(),
            callers: Arc::default(),
            connections: Arc::default(),
            config: Arc::default(),
            recent: Recent::default(),
        };
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&metrics.general)));
        registry.register_collector(Box::new(Arc::clone(&metrics.requests)));
        registry.register_collector(Box::new(Arc::clone(&metrics.callers)));
        registry.register_collector(Box::new(Arc::clone(&metrics.connections)));
        registry.register_collector(Box::new(Arc::clone(&metrics.config)));
        registry.register_collector(Box::new(ProcessMetrics::open()));
        Self { registry, ..metrics }
    }
}

impl Metrics {
    /// Counts a request that is refused before it reaches an upstream; `address` is the client's,
    /// without its port.
    pub fn request_refused(&self, reason: &'static str, address: String) {
        self.general.refusals.get_or_create(&ReasonLabels { reason }).inc();
        self.recent.refusal(reason, address);
    }

    /// Counts a request that takes the answer of another one, or waits for it.
    pub fn request_shared(&self) {
        self.general.shared.inc();
    }

    /// Counts a request that gets no answer from the upstream.
    pub fn upstream_failed(&self, reason: &'static str) {
        self.general.upstream_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a restart of the exporter that the guard runs.
    pub fn child_restarted(&self) {
        self.general.child_restarts.inc();
    }

    /// Records the configuration that is now in force. The series of names that it does not have
    /// end.
    pub fn config_loaded(&self, inventory: Inventory) {
        self.requests.set_routes(inventory.routes.iter().map(String::as_str));
        let callers = inventory.callers.iter();
        self.callers.set_callers(callers.map(|(kind, name)| (*kind, name.as_str())));
        self.config.loaded(inventory);
    }

    /// Records that the reload thread runs.
    pub fn reload_thread_runs(&self) {
        self.config.reload_thread_runs();
    }

    /// Counts a request that an exporter answers, until the returned value is dropped.
    pub fn request_in_flight(&self) -> Counted {
        Counted::new(&self.general.in_flight)
    }

    /// Counts a request that waits because of `max_in_flight`, until the returned value is dropped.
    pub fn request_waiting(&self) -> Counted {
        Counted::new(&self.general.waiting)
    }

    /// Counts a successful reload, with the parts that it has changed.
    pub fn config_reloaded(&self, generation: u64, changed: String) {
        self.config.reloaded();
        self.recent.reload(generation, Ok(changed));
    }

    /// Counts a failed reload, with the reason; the configuration in force stays.
    pub fn config_rejected(&self, generation: u64, reason: String) {
        self.config.rejected();
        self.recent.reload(generation, Err(reason));
    }

    /// Returns what the configuration in force names.
    pub fn inventory(&self) -> Arc<Inventory> {
        self.config.inventory()
    }

    /// Returns the metrics in a format.
    pub fn render(&self, format: Format) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string does not fail");
        match format {
            Format::OpenMetrics => text,
            Format::Text => exposition::text_format(&text),
        }
    }
}

/// One connection or request that counts in a gauge until it is dropped.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Returns the seconds since the epoch.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
