//! The log line of a reload. It names the parts that differ, never their content.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::{Config, TlsConfig};
use crate::snapshot::Snapshot;
use crate::tls::Expiry;

/// Logs the parts of the configuration that a reload has changed.
pub fn log(old: &Snapshot, new: &Snapshot) {
    let expiry = |snapshot: &Snapshot| snapshot.certificate_expiry().map(rfc3339);
    tracing::info!(
        generation = new.generation,
        changed = describe(old, new),
        cert_not_after_old = expiry(old).unwrap_or_default(),
        cert_not_after = expiry(new).unwrap_or_default(),
        tls = new.has_tls(),
        http2 = new.http2(),
        users = new.users.len(),
        "Reloaded web configuration"
    );
}

/// Formats an expiry in UTC (RFC 3339); empty outside the years 0 to 9999.
pub fn rfc3339(expiry: Expiry) -> String {
    OffsetDateTime::from_unix_timestamp(expiry.unix_seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Names the parts of the configuration that differ.
pub fn describe(old: &Snapshot, new: &Snapshot) -> String {
    let (a, b): (&Config, &Config) = (&old.config, &new.config);
    let parts = [
        ("users", a.users != b.users),
        ("certificate", old.fingerprints() != new.fingerprints()),
        ("tls", !same_tls_rules(a, b)),
        ("http2", a.http.http2 != b.http.http2),
        ("headers", a.http.headers != b.http.headers),
        ("rate_limit", a.rate_limit != b.rate_limit),
        ("proxy", a.proxy != b.proxy),
    ];
    let changed: Vec<&str> =
        parts.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    if changed.is_empty() { "nothing".to_owned() } else { changed.join(" ") }
}

fn same_tls_rules(old: &Config, new: &Config) -> bool {
    let names = |config: &Config| config.tls.names().map(str::to_owned).collect::<Vec<_>>();
    let is_same = |(old, new): (&Option<TlsConfig>, &Option<TlsConfig>)| match (old, new) {
        (Some(old), Some(new)) => old.has_same_rules(new),
        (None, None) => true,
        _ => false,
    };
    names(old) == names(new) && old.tls.zip(&new.tls).map(is_same).iter().all(|is_same| *is_same)
}
