//! The guard's own metrics: all names and labels are defined here. Every module updates them, and
//! only `/metrics` reads them.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::log_queue;

/// The content type of the text that [`Metrics::render`] returns.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: ReloadResult,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
#[allow(non_camel_case_types, reason = "the label values are spelled as in Prometheus's programs")]
enum ReloadResult {
    success,
    failure,
}

/// The guard's own metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<CodeLabels, Counter>,
    refusals: Family<ReasonLabels, Counter>,
    upstream_failures: Family<ReasonLabels, Counter>,
    shared_requests: Counter,
    handshake_failures: Counter,
    connections: Counter,
    refused_connections: Family<ReasonLabels, Counter>,
    open_connections: Gauge,
    in_flight_requests: Gauge,
    waiting_requests: Gauge,
    child_restarts: Counter,
    reloads: Family<ResultLabels, Counter>,
    reload_successful: Gauge,
    reload_success_time: Gauge<f64, AtomicU64>,
    reload_thread_time: Gauge<f64, AtomicU64>,
    generation: Gauge,
    open_listeners: Gauge,
    certificate_expiry: Gauge<i64, AtomicI64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut root = Registry::default();
        let registry = root.sub_registry_with_prefix("exporter_guard");
        registry.register(
            "build",
            "Version of this exporter-guard",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let mut metrics = Self {
            registry: Registry::default(),
            requests: Family::default(),
            refusals: Family::default(),
            upstream_failures: Family::default(),
            shared_requests: Counter::default(),
            handshake_failures: Counter::default(),
            connections: Counter::default(),
            refused_connections: Family::default(),
            open_connections: Gauge::default(),
            in_flight_requests: Gauge::default(),
            waiting_requests: Gauge::default(),
            child_restarts: Counter::default(),
            reloads: Family::default(),
            reload_successful: Gauge::default(),
            reload_success_time: Gauge::default(),
            reload_thread_time: Gauge::default(),
            generation: Gauge::default(),
            open_listeners: Gauge::default(),
            certificate_expiry: Gauge::default(),
        };
        metrics.register_traffic(registry);
        metrics.register_config(registry);
        for result in [ReloadResult::success, ReloadResult::failure] {
            let _ = metrics.reloads.get_or_create(&ResultLabels { result });
        }
        metrics.registry = root;
        metrics
    }
}

impl Metrics {
    fn register_traffic(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "Requests answered, by status code",
            self.requests.clone(),
        );
        registry.register(
            "refused_requests",
            "Requests refused before they reached an upstream, by reason",
            self.refusals.clone(),
        );
        registry.register(
            "upstream_failures",
            "Requests that got no answer from the upstream, by reason",
            self.upstream_failures.clone(),
        );
        registry.register(
            "handshake_failures",
            "Connections that ended before their first request could be read",
            self.handshake_failures.clone(),
        );
        registry.register(
            "shared_requests",
            "Requests that took the answer of another one, or wait for it",
            self.shared_requests.clone(),
        );
        registry.register("connections", "Connections accepted", self.connections.clone());
        registry.register(
            "refused_connections",
            "Connections closed at once because a limit was reached, by reason",
            self.refused_connections.clone(),
        );
        registry.register(
            "open_connections",
            "Connections open now",
            self.open_connections.clone(),
        );
        registry.register(
            "in_flight_requests",
            "Requests that exporters answer now",
            self.in_flight_requests.clone(),
        );
        registry.register(
            "waiting_requests",
            "Requests that wait because of max_in_flight",
            self.waiting_requests.clone(),
        );
        registry.register(
            "log_dropped_lines",
            "Log lines dropped because standard error was not read fast enough",
            log_queue::dropped_lines(),
        );
        registry.register(
            "child_restarts",
            "Times the exporter that the guard runs was started again",
            self.child_restarts.clone(),
        );
    }

    fn register_config(&self, registry: &mut Registry) {
        registry.register(
            "config_reloads",
            "Attempts to reload the web configuration, by result",
            self.reloads.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "Whether the last attempt to load the web configuration succeeded",
            self.reload_successful.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the configuration in force was loaded, since the epoch",
            Unit::Seconds,
            self.reload_success_time.clone(),
        );
        registry.register_with_unit(
            "reload_thread_last_run_timestamp",
            "When the thread that reloads the configuration last ran, since the epoch",
            Unit::Seconds,
            self.reload_thread_time.clone(),
        );
        registry.register(
            "config_generation",
            "Number of the configuration in force, 1 at start",
            self.generation.clone(),
        );
        registry.register(
            "open_listeners",
            "Listeners that let everybody through to an exporter",
            self.open_listeners.clone(),
        );
        registry.register_with_unit(
            "certificate_not_after_timestamp",
            "When the server certificate expires, since the epoch; 0 without TLS",
            Unit::Seconds,
            self.certificate_expiry.clone(),
        );
    }

    /// Counts an answered request by its status code.
    pub fn request_answered(&self, code: u16) {
        self.requests.get_or_create(&CodeLabels { code }).inc();
    }

    /// Counts a request that is refused before it reaches an upstream.
    pub fn request_refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a request that takes the answer of another one, or waits for it.
    pub fn request_shared(&self) {
        self.shared_requests.inc();
    }

    /// Counts a request that gets no answer from the upstream.
    pub fn upstream_failed(&self, reason: &'static str) {
        self.upstream_failures.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a connection that ends before its first request can be read.
    pub fn handshake_failed(&self) {
        self.handshake_failures.inc();
    }

    /// Counts a connection that is closed at once because a limit is reached.
    pub fn connection_refused(&self, reason: &'static str) {
        self.refused_connections.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts an accepted connection, which is open until the returned value is dropped.
    pub fn connection_opened(&self) -> OpenConnection {
        self.connections.inc();
        self.open_connections.inc();
        OpenConnection(self.open_connections.clone())
    }

    /// Counts a request that an exporter answers, until the returned value is dropped.
    pub fn request_in_flight(&self) -> CountedRequest {
        CountedRequest::new(&self.in_flight_requests)
    }

    /// Counts a request that waits because of `max_in_flight`, until the returned value is dropped.
    pub fn request_waiting(&self) -> CountedRequest {
        CountedRequest::new(&self.waiting_requests)
    }

    /// Counts a restart of the exporter that the guard runs.
    pub fn child_restarted(&self) {
        self.child_restarts.inc();
    }

    /// Records the configuration that is now in force: its generation, how many listeners let everybody
    /// through, and the expiry of the server certificate in seconds since the epoch, `None` without
    /// TLS.
    pub fn config_loaded(
        &self,
        generation: u64,
        open_listeners: usize,
        certificate_expiry: Option<i64>,
    ) {
        self.reload_successful.set(1);
        self.reload_success_time.set(unix_time());
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.open_listeners.set(i64::try_from(open_listeners).unwrap_or(i64::MAX));
        self.certificate_expiry.set(certificate_expiry.unwrap_or(0));
    }

    /// Records that the reload thread runs.
    pub fn reload_thread_runs(&self) {
        self.reload_thread_time.set(unix_time());
    }

    /// Counts a successful reload.
    pub fn config_reloaded(&self) {
        let _ = self.reloads.get_or_create(&ResultLabels { result: ReloadResult::success }).inc();
    }

    /// Counts a failed reload; the configuration in force stays.
    pub fn config_rejected(&self) {
        self.reload_successful.set(0);
        self.reloads.get_or_create(&ResultLabels { result: ReloadResult::failure }).inc();
    }

    /// Returns the metrics as OpenMetrics text, which Prometheus and promtool read.
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string does not fail");
        text
    }
}

/// Returns the seconds since the epoch.
fn unix_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// One connection that counts as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One request that counts in a gauge until it is dropped.
#[derive(Debug)]
pub struct CountedRequest(Gauge);

impl CountedRequest {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for CountedRequest {
    fn drop(&mut self) {
        self.0.dec();
    }
}
