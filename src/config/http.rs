//! `http_server_config`: HTTP/2, and headers for every response.

use super::findings::Problems;
use super::node::Node;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    pub http2: bool,
    pub headers: Vec<(&'static str, String)>,
}

/// Header names, and the values each may have; none listed: any. Case counts for both.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Content-Security-Policy", &[]),
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
];

impl HttpConfig {
    pub(super) fn validate(node: Option<&Node>, problems: &mut Problems) -> Self {
        let mut http = Self { http2: true, headers: Vec::new() };
        let Some(node) = node else { return http };
        let section = node.section("http_server_config", &["http2", "headers"], problems);
        if let Some(node) = section.get("http2") {
            http.http2 = node.boolean("http_server_config.http2", problems).unwrap_or(true);
        }
        if let Some(node) = section.get("headers") {
            http.headers = headers(node, problems);
        }
        http
    }
}

fn headers(node: &Node, problems: &mut Problems) -> Vec<(&'static str, String)> {
    let place = "http_server_config.headers";
    let mut headers = Vec::new();
    for entry in node.entries(place, problems) {
        let Some((name, allowed)) = HEADERS.iter().find(|(name, _)| *name == entry.key) else {
            let known: Vec<&str> = HEADERS.iter().map(|(name, _)| *name).collect();
            let message = format!(
                "{place}: HTTP header {:?} cannot be configured; these can: {}",
                entry.key,
                known.join(", ")
            );
            problems.error_at(&entry.key_path, message);
            continue;
        };
        let Some(value) = entry.value.string(&format!("{place}.{name}"), problems) else {
            continue;
        };
        // Go's server does the same to line breaks.
        let value = value.trim().replace(['\r', '\n'], " ");
        if !allowed.is_empty() && !allowed.contains(&value.as_str()) {
            let message =
                format!("{place}.{name}: expected {}, found {value:?}", allowed.join(" or "));
            problems.error(&entry.value, message);
        } else if value.chars().any(char::is_control) {
            problems
                .error(&entry.value, format!("{place}.{name}: control characters are not allowed"));
        } else {
            headers.push((*name, value));
        }
    }
    headers
}
