//! Service discovery: the routes that somebody may scrape, in Prometheus's `http_sd` format.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Route;

/// One entry of the format.
#[derive(Debug, Serialize)]
pub struct Target {
    targets: [String; 1],
    labels: BTreeMap<String, String>,
}

impl Target {
    /// As it is reached through the address that the caller itself has used.
    pub fn new(route: &Route, asked: &str, tls: bool) -> Self {
        let (scheme, port) = if tls { ("https", 443) } else { ("http", 80) };
        let host_end = match asked.rfind(':') {
            Some(colon) if !asked[colon..].contains(']') => colon,
            _ => asked.len(),
        };
        let host = route.config.terms.hosts.first().map_or(&asked[..host_end], String::as_str);
        let address = match &asked[host_end..] {
            "" | ":" => format!("{host}:{port}"),
            with_port => format!("{host}{with_port}"),
        };
        let mut labels = route.config.labels.clone();
        // All of them have the same address.
        labels.entry("instance".to_owned()).or_insert_with(|| route.name.clone());
        labels.insert("__scheme__".to_owned(), scheme.to_owned());
        labels.insert("__metrics_path__".to_owned(), route.config.metrics_path());
        Self { targets: [address], labels }
    }
}

pub fn render(targets: &[Target]) -> String {
    // Strings alone: nothing that cannot be written.
    serde_json::to_string(targets).unwrap_or_default()
}
