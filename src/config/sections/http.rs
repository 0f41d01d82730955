//! `http_server_config`: HTTP/2, and header fields of every response.

use crate::config::keys::toolkit::{HEADERS, HEADERS_KEY, HTTP2};
use crate::config::keys::{Entry, Section};

/// The settings of HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// True if listeners with TLS offer HTTP/2.
    pub http2: bool,
    /// The names and values of header fields that every response has.
    pub headers: Vec<(&'static str, String)>,
}

impl HttpConfig {
    /// Reads the section.
    pub fn read(section: Option<&Section<'_>>) -> Self {
        let http2 = section.and_then(|section| section.get(&HTTP2));
        let headers = section.and_then(|section| section.find(&HEADERS_KEY));
        let headers = headers.map(|value| value.entries()).unwrap_or_default();
        Self {
            http2: http2.unwrap_or(HTTP2.value_type().default()),
            headers: headers.into_iter().filter_map(header).collect(),
        }
    }
}

fn header(entry: Entry<'_>) -> Option<(&'static str, String)> {
    let Some(declaration) = HEADERS.find(entry.key) else {
        let known: Vec<&str> = HEADERS.keys().map(|key| key.name()).collect();
        let known = known.join(", ");
        let message =
            format!("HTTP header {:?} cannot be configured; these can: {known}", entry.key);
        entry.error_at_key(message);
        return None;
    };
    let name = format!("{}.{}", entry.value.name(), declaration.name());
    let text = entry.value.named(&name).text()?;
    // Go's server does the same to line breaks.
    let value = text.as_str().trim().replace(['\r', '\n'], " ");
    let choices = declaration.choices();
    if !choices.is_empty() && !choices.contains(&value.as_str()) {
        text.error(format!("expected {}, found {value:?}", choices.join(" or ")));
        return None;
    }
    if value.chars().any(char::is_control) {
        text.error("control characters are not allowed");
        return None;
    }
    Some((declaration.name(), value))
}
