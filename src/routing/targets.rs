//! Service discovery: the routes that somebody may scrape, in Prometheus's `http_sd` format.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Route, host_end};

/// One entry of the format.
#[derive(Debug, Serialize)]
pub struct Target {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

impl Target {
    /// As it is reached through the address that the caller itself has used.
    /// `None` for a route that Prometheus cannot scrape.
    pub fn new(route: &Route, asked: &str, tls: bool) -> Option<Self> {
        let path = route.config.metrics_path()?;
        let (scheme, port) = if tls { ("https", 443) } else { ("http", 80) };
        let (asked, port_asked) = asked.split_at(host_end(asked));
        let host = route.config.policy.hosts.first().map_or(asked, String::as_str);
        let address = match port_asked {
            "" | ":" => format!("{host}:{port}"),
            with_port => format!("{host}{with_port}"),
        };
        let mut labels = route.config.labels.clone();
        // The routes of a file have the same address, by which Prometheus would name them.
        if let Some(name) = route.listed_name() {
            labels.entry("instance".to_owned()).or_insert_with(|| name.to_owned());
        }
        labels.insert("__scheme__".to_owned(), scheme.to_owned());
        labels.insert("__metrics_path__".to_owned(), path);
        Some(Self { targets: [address], labels })
    }
}

pub fn render(targets: &[Target]) -> String {
    // Strings alone: nothing that cannot be written.
    serde_json::to_string(targets).unwrap_or_default()
}
