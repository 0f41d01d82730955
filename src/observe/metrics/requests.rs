//! The metrics of requests, by route. The configuration in force names the routes, so no client can
//! make a series of another name.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use http::Method;
use parking_lot::{Mutex, RwLock};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Unit;

use super::Counted;
use super::family::Family;
use crate::observe::history::History;

const REQUESTS: Family = Family::counter(
    "exporter_guard_http_requests",
    &["listener", "route", "method", "code"],
    "Requests answered; the route is empty for those that were refused before one was found.",
);
const IN_FLIGHT: Family =
    Family::gauge("exporter_guard_http_requests_in_flight", &[], "Requests being answered.");
const DURATION: Family = Family::histogram(
    "exporter_guard_http_request_duration",
    &["route"],
    "Time from the head of a request to the end of its answer.",
);
const UPSTREAM_DURATION: Family = Family::histogram(
    "exporter_guard_upstream_request_duration",
    &["route"],
    "Part of that time in which the exporter had the request.",
);
const REQUEST_BYTES: Family = Family::counter(
    "exporter_guard_http_request_body",
    &["route"],
    "Bytes of request bodies received.",
)
.in_unit(Unit::Bytes);
const RESPONSE_BYTES: Family = Family::counter(
    "exporter_guard_http_response_body",
    &["route"],
    "Bytes of response bodies sent.",
)
.in_unit(Unit::Bytes);

/// The families of this module.
pub const FAMILIES: [&Family; 6] =
    [&REQUESTS, &IN_FLIGHT, &DURATION, &UPSTREAM_DURATION, &REQUEST_BYTES, &RESPONSE_BYTES];

/// The upper bounds of durations in seconds: from a cached page to the usual timeout of a scrape.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The methods that have a label of their own (RFC 9110 section 9, RFC 5789).
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// The label of every other method.
const OTHER_METHOD: &str = "other";

/// Everything that the metrics need to know of one answered request.
#[derive(Debug)]
pub struct Answered<'a> {
    /// The name of the listener.
    pub listener: &'a Arc<str>,
    /// The name of the route; `None` if the request was refused before one was found.
    pub route: Option<&'a str>,
    /// The method.
    pub method: &'a Method,
    /// The status; 0 when the client left before there was one.
    pub code: u16,
    /// The time since the head of the request.
    pub duration: Duration,
    /// The part of it in which the exporter had the request; `None` if it never had.
    pub upstream_duration: Option<Duration>,
    /// The bytes of the request's body.
    pub received: usize,
    /// The bytes of the answer's body.
    pub sent: usize,
    /// The caller, in words, for the status page; `None` if the request was refused.
    pub caller: Option<String>,
}

/// The last request that a route has passed on.
#[derive(Debug, Clone)]
pub struct LastRequest {
    /// The time of the answer.
    pub at: SystemTime,
    /// The time that it took.
    pub duration: Duration,
    /// The status.
    pub code: u16,
    /// The bytes of the answer's body.
    pub bytes: usize,
    /// The caller, in words.
    pub caller: String,
}

/// The labels of a count of requests beside the route.
type CountKey = (Arc<str>, &'static str, u16);

/// The metrics of one route.
#[derive(Debug)]
struct RouteMetrics {
    answered: RwLock<HashMap<CountKey, Counter>>,
    duration: Histogram,
    upstream_duration: Histogram,
    received: Counter,
    sent: Counter,
    last: Mutex<Option<LastRequest>>,
}

impl Default for RouteMetrics {
    fn default() -> Self {
        Self {
            answered: RwLock::default(),
            duration: Histogram::new(BUCKETS),
            upstream_duration: Histogram::new(BUCKETS),
            received: Counter::default(),
            sent: Counter::default(),
            last: Mutex::default(),
        }
    }
}

impl RouteMetrics {
    fn record(&self, answered: &Answered<'_>) {
        let key = (Arc::clone(answered.listener), method_label(answered.method), answered.code);
        let known = self.answered.read().get(&key).map(|counter| counter.inc());
        if known.is_none() {
            self.answered.write().entry(key).or_default().inc();
        }
        self.duration.observe(answered.duration.as_secs_f64());
        if let Some(duration) = answered.upstream_duration {
            self.upstream_duration.observe(duration.as_secs_f64());
        }
        self.received.inc_by(answered.received as u64);
        self.sent.inc_by(answered.sent as u64);
        if let Some(caller) = &answered.caller {
            *self.last.lock() = Some(LastRequest {
                at: SystemTime::now(),
                duration: answered.duration,
                code: answered.code,
                bytes: answered.sent,
                caller: caller.clone(),
            });
        }
    }

    fn is_used(&self) -> bool {
        !self.answered.read().is_empty()
    }
}

fn method_label(method: &Method) -> &'static str {
    METHODS.iter().find(|known| **known == method.as_str()).copied().unwrap_or(OTHER_METHOD)
}

type Table = BTreeMap<String, Arc<RouteMetrics>>;

/// The metrics of all requests.
#[derive(Debug, Default)]
pub struct RequestMetrics {
    /// The routes of the configuration in force.
    routes: ArcSwap<Table>,
    without_route: RouteMetrics,
    in_flight: Gauge,
    history: History,
}

impl RequestMetrics {
    /// Keeps the metrics of these routes, and forgets all others.
    pub fn set_routes<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let old = self.routes.load_full();
        let of = |name: &str| old.get(name).cloned().unwrap_or_default();
        self.routes.store(Arc::new(names.map(|name| (name.to_owned(), of(name))).collect()));
    }

    /// Counts a request as in flight until the returned value is dropped.
    pub fn begin(&self) -> Counted {
        Counted::new(&self.in_flight)
    }

    /// Records an answered request. One of a route that a reload has removed meanwhile counts as
    /// without a route.
    pub fn record(&self, answered: &Answered<'_>) {
        let routes = self.routes.load();
        let of_route = answered.route.and_then(|route| routes.get(route));
        of_route.map_or(&self.without_route, Arc::as_ref).record(answered);
        self.history.record(answered.duration, answered.code >= 500);
    }

    /// Returns the last request that the route has passed on.
    pub fn last_of(&self, route: &str) -> Option<LastRequest> {
        self.routes.load().get(route)?.last.lock().clone()
    }

    /// Returns the rate and the latency of the last hour.
    pub fn history(&self) -> &History {
        &self.history
    }
}

impl Collector for RequestMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let encoder = &mut encoder;
        let table = self.routes.load_full();
        let named = table.iter().map(|(name, route)| (name.as_str(), route.as_ref()));
        let routes: Vec<(&str, &RouteMetrics)> = std::iter::once(("", &self.without_route))
            .chain(named)
            .filter(|(_, route)| route.is_used())
            .collect();
        let mut counts = Vec::new();
        for (name, route) in &routes {
            for ((listener, method, code), counter) in &*route.answered.read() {
                let labels = [&**listener, name, method, &code.to_string()].map(str::to_owned);
                counts.push((labels, counter.clone()));
            }
        }
        counts.sort_by(|(a, _), (b, _)| a.cmp(b));
        REQUESTS.write(encoder, counts)?;
        IN_FLIGHT.write_one(encoder, &self.in_flight)?;
        let label = |name: &str| [name.to_owned()];
        let of = |histogram: fn(&RouteMetrics) -> &Histogram| {
            routes.iter().map(move |(name, route)| (label(name), histogram(route).clone()))
        };
        DURATION.write(encoder, of(|route| &route.duration))?;
        UPSTREAM_DURATION.write(encoder, of(|route| &route.upstream_duration))?;
        let of = |counter: fn(&RouteMetrics) -> &Counter| {
            routes.iter().map(move |(name, route)| (label(name), counter(route).clone()))
        };
        REQUEST_BYTES.write(encoder, of(|route| &route.received))?;
        RESPONSE_BYTES.write(encoder, of(|route| &route.sent))
    }
}
