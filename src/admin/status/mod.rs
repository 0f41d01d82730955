//! The status of the guard: what the status page at `/` shows, and `/api/v1/status` returns as JSON.
//! Nothing in it is secret.

mod page;
mod plot;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::config::{ClientAuth, TlsVersion};
use crate::observe::history::Minute;
use crate::observe::metrics::{Inventory, Metrics};
use crate::snapshot::Snapshot;

pub use page::{CONTENT_SECURITY_POLICY, render};

const SECONDS_PER_DAY: i64 = 24 * 60 * 60;

/// The status at one moment. All times are seconds since the epoch.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    now: f64,
    generation: u64,
    hash: String,
    listeners: Vec<Listener>,
    certificates: Vec<CertificateStatus>,
    routes: Vec<RouteStatus>,
    reloads: Vec<ReloadStatus>,
    refusals: Vec<RefusalStatus>,
    /// The last hour, the current minute last.
    minutes: Vec<MinuteStatus>,
}

/// A listening address.
#[derive(Debug, Clone, Serialize)]
pub struct Listener {
    /// The name of the listener, as `--web.listen-address` gives it.
    pub name: String,
    /// The address, with the real port.
    pub address: String,
    /// `None`: plaintext.
    pub tls: Option<TlsStatus>,
}

/// The TLS of a listener.
#[derive(Debug, Clone, Serialize)]
pub struct TlsStatus {
    versions: [&'static str; 2],
    http2: bool,
    client_certificates: &'static str,
}

#[derive(Debug, Serialize)]
struct CertificateStatus {
    #[serde(rename = "use")]
    usage: &'static str,
    subject: String,
    serial: String,
    not_before: i64,
    not_after: i64,
    /// Whole days until the end; negative after it.
    days_left: i64,
}

#[derive(Debug, Serialize)]
struct RouteStatus {
    name: String,
    upstreams: Vec<UpstreamStatus>,
    last_request: Option<LastRequestStatus>,
}

#[derive(Debug, Serialize)]
struct UpstreamStatus {
    address: String,
    /// `None`: no request has been sent to it yet.
    up: Option<bool>,
    cause: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct LastRequestStatus {
    at: f64,
    seconds: f64,
    status: u16,
    bytes: usize,
    caller: String,
}

#[derive(Debug, Serialize)]
struct ReloadStatus {
    at: f64,
    generation: u64,
    successful: bool,
    /// The parts that have changed, or the error.
    message: String,
}

#[derive(Debug, Serialize)]
struct RefusalStatus {
    reason: &'static str,
    address: String,
    count: u64,
    last: f64,
}

#[derive(Debug, Serialize)]
struct MinuteStatus {
    requests: u64,
    errors: u64,
    mean_seconds: f64,
    longest_seconds: f64,
}

impl Status {
    /// Collects the status; `listeners` are the names and the addresses of the web listeners.
    pub fn collect(snapshot: &Snapshot, metrics: &Metrics, listeners: &[(String, String)]) -> Self {
        let now = seconds(SystemTime::now());
        let inventory = metrics.inventory();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            now,
            generation: inventory.generation,
            hash: inventory.hash.clone(),
            listeners: listeners
                .iter()
                .map(|(name, address)| Listener {
                    name: name.clone(),
                    address: address.clone(),
                    tls: tls_of(snapshot, name),
                })
                .collect(),
            certificates: certificates(&inventory, now),
            routes: routes(&inventory, metrics),
            reloads: reloads(metrics),
            refusals: refusals(metrics),
            minutes: metrics.requests.history().minutes().iter().map(MinuteStatus::of).collect(),
        }
    }

    /// Returns the status as JSON, in the envelope of Prometheus's HTTP API.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Envelope<'a> {
            status: &'static str,
            data: &'a Status,
        }
        let text = serde_json::to_string(&Envelope { status: "success", data: self });
        text.expect("every part of it is JSON") + "\n"
    }
}

impl MinuteStatus {
    fn of(minute: &Minute) -> Self {
        Self {
            requests: minute.requests,
            errors: minute.errors,
            mean_seconds: minute.mean().as_secs_f64(),
            longest_seconds: minute.longest.as_secs_f64(),
        }
    }
}

fn tls_of(snapshot: &Snapshot, listener: &str) -> Option<TlsStatus> {
    snapshot.tls(listener)?;
    let config = snapshot.config.tls.of(listener).as_ref()?;
    let client_certificates = match config.client_auth {
        ClientAuth::None => "not asked for",
        ClientAuth::Request => "asked for, not verified",
        ClientAuth::RequireAny => "required, not verified",
        ClientAuth::VerifyIfGiven => "verified if there is one",
        ClientAuth::RequireAndVerify => "required and verified",
    };
    let versions = [config.min_version, config.max_version].map(|version| match version {
        TlsVersion::Tls10 => "1.0",
        TlsVersion::Tls11 => "1.1",
        TlsVersion::Tls12 => "1.2",
        TlsVersion::Tls13 => "1.3",
    });
    Some(TlsStatus { versions, http2: snapshot.config.http.http2, client_certificates })
}

fn certificates(inventory: &Inventory, now: f64) -> Vec<CertificateStatus> {
    #[allow(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
    let now = now as i64;
    let status = |certificate: &crate::observe::metrics::Certificate| CertificateStatus {
        usage: certificate.usage.name(),
        subject: certificate.subject.clone(),
        serial: certificate.serial.clone(),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        days_left: (certificate.not_after - now).div_euclid(SECONDS_PER_DAY),
    };
    let mut all: Vec<CertificateStatus> = inventory.certificates.iter().map(status).collect();
    all.sort_by_key(|certificate| certificate.not_after);
    all
}

fn routes(inventory: &Inventory, metrics: &Metrics) -> Vec<RouteStatus> {
    let mut names: Vec<&String> = inventory.routes.iter().collect();
    names.sort();
    let route = |name: &String| RouteStatus {
        name: name.clone(),
        upstreams: inventory
            .upstreams
            .iter()
            .filter(|entry| entry.route == *name)
            .map(|entry| UpstreamStatus {
                address: entry.upstream.clone(),
                up: entry.health.is_up(),
                cause: entry.health.cause(),
            })
            .collect(),
        last_request: metrics.requests.last_of(name).map(|last| LastRequestStatus {
            at: seconds(last.at),
            seconds: last.duration.as_secs_f64(),
            status: last.code,
            bytes: last.bytes,
            caller: last.caller,
        }),
    };
    names.into_iter().map(route).collect()
}

fn reloads(metrics: &Metrics) -> Vec<ReloadStatus> {
    let reloads = metrics.recent.reloads().into_iter().map(|reload| ReloadStatus {
        at: seconds(reload.at),
        generation: reload.generation,
        successful: reload.result.is_ok(),
        message: reload.result.unwrap_or_else(|error| error),
    });
    reloads.collect()
}

fn refusals(metrics: &Metrics) -> Vec<RefusalStatus> {
    let refusals = metrics.recent.refusals().into_iter().map(|refusals| RefusalStatus {
        reason: refusals.reason,
        address: refusals.address,
        count: refusals.count,
        last: seconds(refusals.last),
    });
    refusals.collect()
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
