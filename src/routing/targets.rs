//! Service discovery: the routes that a caller may scrape, in Prometheus's `http_sd` format.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Route, host_end};

/// One entry of the `http_sd` format.
#[derive(Debug, Serialize)]
pub struct Target {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

impl Target {
    /// Describes a route as it is reached through `authority`, the address that the caller itself
    /// has used, with or without TLS. `None` for a route that Prometheus cannot scrape.
    pub fn new(route: &Route, authority: &str, tls: bool) -> Option<Self> {
        let path = route.config.metrics_path()?;
        let (scheme, port) = if tls { ("https", 443) } else { ("http", 80) };
        let (caller_host, caller_port) = authority.split_at(host_end(authority));
        let host = route.config.policy.hosts.first().map_or(caller_host, String::as_str);
        let address = match caller_port {
            "" | ":" => format!("{host}:{port}"),
            with_port => format!("{host}{with_port}"),
        };
        let mut labels = route.config.labels.clone();
        // Prometheus would name a target by its address, which the routes of a file have in common.
        if let Some(name) = route.listed_name() {
            labels.entry("instance".to_owned()).or_insert_with(|| name.to_owned());
        }
        labels.insert("__scheme__".to_owned(), scheme.to_owned());
        labels.insert("__metrics_path__".to_owned(), path);
        Some(Self { targets: [address], labels })
    }
}

/// Renders the entries as JSON.
pub fn render(targets: &[Target]) -> String {
    // Serialization of strings cannot fail.
    serde_json::to_string(targets).unwrap_or_default()
}
