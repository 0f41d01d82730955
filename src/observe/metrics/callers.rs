//! The metrics of callers, by the names that the configuration in force has for users, tokens and
//! client certificates, and of authentication.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arc_swap::ArcSwap;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family as Counters;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Unit;

use super::family::Family;
use super::now;

const REQUESTS: Family = Family::counter(
    "exporter_guard_caller_requests",
    &["kind", "name"],
    "Requests that were authorized, by the user, token or client certificate name that the configuration has.",
);
const LAST_SUCCESS: Family = Family::gauge(
    "exporter_guard_caller_last_success_timestamp",
    &["kind", "name"],
    "When a request of this caller was last authorized, since the epoch.",
)
.in_unit(Unit::Seconds);
const AUTHENTICATIONS: Family = Family::counter(
    "exporter_guard_authentications",
    &["result"],
    "Requests whose credentials were judged: success, or the reason of the refusal.",
);
const CACHE_HITS: Family = Family::counter(
    "exporter_guard_credential_cache_hits",
    &[],
    "Credentials that were found right without a bcrypt run.",
);
const CHECKS: Family = Family::counter(
    "exporter_guard_verifier_checks",
    &[],
    "Credentials that were checked by bcrypt.",
);
const QUEUED: Family = Family::gauge(
    "exporter_guard_verifier_queue_length",
    &[],
    "Credentials that wait to be checked by bcrypt.",
);

/// The families of this module.
pub const FAMILIES: [&Family; 6] =
    [&REQUESTS, &LAST_SUCCESS, &AUTHENTICATIONS, &CACHE_HITS, &CHECKS, &QUEUED];

/// The value of `result` for credentials that are right.
const SUCCESS: &str = "success";

/// The way in which a caller is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerKind {
    /// A caller by the name of a user of `basic_auth_users`.
    User,
    /// A caller by the name of a token of `proxy.tokens`.
    Token,
    /// A caller by a name in its certificate that the configuration lists.
    Certificate,
}

impl CallerKind {
    /// Returns the name for labels, log lines and the status page.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Token => "token",
            Self::Certificate => "certificate",
        }
    }
}

/// The metrics of one caller.
#[derive(Debug, Default)]
struct CallerMetrics {
    requests: Counter,
    /// 0 until there is a request.
    last_success: Gauge<f64, AtomicU64>,
}

type Table = BTreeMap<CallerKind, BTreeMap<String, Arc<CallerMetrics>>>;

/// The load of the threads that run bcrypt; they update it.
#[derive(Debug, Clone, Default)]
pub struct VerifierMetrics {
    /// Credentials that were right without a bcrypt run.
    pub cache_hits: Counter,
    /// Credentials that were checked by bcrypt.
    pub checks: Counter,
    /// Credentials that wait.
    pub queued: Gauge,
}

/// The metrics of all callers and of their authentication.
#[derive(Debug, Default)]
pub struct CallerMetricsTable {
    callers: ArcSwap<Table>,
    authentications: Counters<ResultLabels, Counter>,
    verifier: VerifierMetrics,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

impl CallerMetricsTable {
    /// Keeps the metrics of these callers, and forgets all others.
    pub fn set_callers<'a>(&self, names: impl Iterator<Item = (CallerKind, &'a str)>) {
        let old = self.callers.load_full();
        let of = |kind, name| old.get(&kind)?.get(name).cloned();
        let mut table = Table::new();
        for (kind, name) in names {
            let metrics = of(kind, name).unwrap_or_default();
            table.entry(kind).or_default().insert(name.to_owned(), metrics);
        }
        self.callers.store(Arc::new(table));
    }

    /// Counts an authorized request of a caller. Names that the configuration does not have count
    /// nowhere; returns whether it has this one.
    pub fn authorized(&self, kind: CallerKind, name: &str) -> bool {
        let callers = self.callers.load();
        let Some(metrics) = callers.get(&kind).and_then(|names| names.get(name)) else {
            return false;
        };
        metrics.requests.inc();
        metrics.last_success.set(now());
        true
    }

    /// Counts a request whose credentials are right, or the reason why it is refused for them.
    pub fn authenticated(&self, result: Result<(), &'static str>) {
        let result = result.err().unwrap_or(SUCCESS);
        self.authentications.get_or_create(&ResultLabels { result }).inc();
    }

    /// Returns the metrics that the verifier updates.
    pub fn verifier(&self) -> &VerifierMetrics {
        &self.verifier
    }
}

impl Collector for CallerMetricsTable {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        let table = self.callers.load_full();
        let mut requests = Vec::new();
        let mut last = Vec::new();
        for (kind, names) in &*table {
            for (name, metrics) in names {
                let labels = [kind.name().to_owned(), name.clone()];
                if metrics.last_success.get() > 0.0 {
                    last.push((labels.clone(), metrics.last_success.clone()));
                }
                requests.push((labels, metrics.requests.clone()));
            }
        }
        REQUESTS.write(encoder, requests)?;
        LAST_SUCCESS.write(encoder, last)?;
        AUTHENTICATIONS.write_one(encoder, &self.authentications)?;
        CACHE_HITS.write_one(encoder, &self.verifier.cache_hits)?;
        CHECKS.write_one(encoder, &self.verifier.checks)?;
        QUEUED.write_one(encoder, &self.verifier.queued)
    }
}
