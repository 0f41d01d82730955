//! The metrics of connections and of their handshakes.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family as Counters;
use prometheus_client::metrics::gauge::Gauge;

use super::Counted;
use super::ReasonLabels;
use super::family::Family;

const CONNECTIONS: Family =
    Family::counter("exporter_guard_connections", &[], "Connections accepted.");
const OPEN: Family = Family::gauge("exporter_guard_open_connections", &[], "Connections open now.");
const LIMIT: Family = Family::gauge(
    "exporter_guard_connections_limit",
    &[],
    "Connections that may be open on the web listeners: max_connections, or fewer if there are not enough file descriptors.",
);
const LIMIT_PER_ADDRESS: Family = Family::gauge(
    "exporter_guard_connections_per_address_limit",
    &[],
    "Connections that one client address may have open: max_connections_per_address.",
);
const REFUSED: Family = Family::counter(
    "exporter_guard_refused_connections",
    &["reason"],
    "Connections closed at once because a limit was reached.",
);
const HANDSHAKES: Family = Family::counter(
    "exporter_guard_handshakes",
    &["version", "resumed"],
    "TLS handshakes completed.",
);
const HANDSHAKE_FAILURES: Family = Family::counter(
    "exporter_guard_handshake_failures",
    &["reason"],
    "Connections that ended before their first request could be read.",
);

/// The families of this module.
pub const FAMILIES: [&Family; 7] =
    [&CONNECTIONS, &OPEN, &LIMIT, &LIMIT_PER_ADDRESS, &REFUSED, &HANDSHAKES, &HANDSHAKE_FAILURES];

/// The TLS versions that the guard speaks, as OpenSSL names them.
const VERSIONS: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

/// The metrics of all connections.
#[derive(Debug, Default)]
pub struct ConnectionMetrics {
    accepted: Counter,
    open: Gauge,
    limit: Gauge,
    limit_per_address: Gauge,
    refused: Counters<ReasonLabels, Counter>,
    /// The handshakes by version, without and with resumption.
    handshakes: [[Counter; 2]; VERSIONS.len()],
    handshake_failures: Counters<ReasonLabels, Counter>,
}

impl ConnectionMetrics {
    /// Begins the counts of these reasons with zero, so that the first of each is an increase: of
    /// refused connections, and of failed handshakes.
    pub fn expect(&self, refusals: &[&'static str], failures: impl Iterator<Item = &'static str>) {
        for reason in refusals {
            drop(self.refused.get_or_create(&ReasonLabels { reason }));
        }
        for reason in failures {
            drop(self.handshake_failures.get_or_create(&ReasonLabels { reason }));
        }
    }

    /// Counts an accepted connection, which is open until the returned value is dropped.
    pub fn opened(&self) -> Counted {
        self.accepted.inc();
        Counted::new(&self.open)
    }

    /// Counts a connection that is closed at once because a limit is reached.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Records the limits in force: in all, and for one client address.
    pub fn set_limits(&self, total: usize, per_address: usize) {
        let value = |limit| i64::try_from(limit).unwrap_or(i64::MAX);
        self.limit.set(value(total));
        self.limit_per_address.set(value(per_address));
    }

    /// Counts a TLS handshake.
    pub fn handshake(&self, version: &str, resumed: bool) {
        if let Some(index) = VERSIONS.iter().position(|known| *known == version) {
            self.handshakes[index][usize::from(resumed)].inc();
        }
    }

    /// Counts a connection that ends before its first request can be read.
    pub fn handshake_failed(&self, reason: &'static str) {
        self.handshake_failures.get_or_create(&ReasonLabels { reason }).inc();
    }
}

impl Collector for ConnectionMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        CONNECTIONS.write_one(encoder, &self.accepted)?;
        OPEN.write_one(encoder, &self.open)?;
        LIMIT.write_one(encoder, &self.limit)?;
        LIMIT_PER_ADDRESS.write_one(encoder, &self.limit_per_address)?;
        REFUSED.write_one(encoder, &self.refused)?;
        let handshakes = VERSIONS.iter().zip(&self.handshakes).flat_map(|(version, counters)| {
            [false, true].map(|resumed| {
                let labels = [(*version).to_owned(), resumed.to_string()];
                (labels, counters[usize::from(resumed)].clone())
            })
        });
        HANDSHAKES.write(encoder, handshakes)?;
        HANDSHAKE_FAILURES.write_one(encoder, &self.handshake_failures)
    }
}
