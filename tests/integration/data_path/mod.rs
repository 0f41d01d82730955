//! What passes between the scraper and the exporter (point 2 of the issue).

mod failures;
mod forwarding;
mod framing;
mod malformed;
mod proxy_protocol;
mod request_headers;
mod streaming;
mod upgrades;
