//! What passes between the scraper and the exporter.

mod failures;
mod forwarding;
mod framing;
mod malformed;
mod proxy_protocol;
mod request_headers;
mod streaming;
mod upgrades;
