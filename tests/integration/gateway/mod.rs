//! `proxy.routes`: several exporters behind one guard.

mod access;
mod discovery;
mod explain;
mod failover;
mod file_sd;
mod kept;
mod listeners;
mod refusals;
mod routes;
mod sharing;
mod spellings;
mod targets;
mod upstream_tls;

use serde_json::Value;

use crate::support::*;

/// A `proxy` section with this list of routes.
fn proxy_routes(routes: &str) -> String {
    proxy(&("routes:\n".to_owned() + &indented(2, routes)))
}

/// A configuration with this list of routes.
fn with_routes(routes: &str) -> String {
    scraper() + &proxy_routes(routes)
}

/// A guard without TLS.
fn gateway(routes: &str) -> Guard {
    GuardBuilder::new().config(with_routes(routes)).start()
}

fn asked(exporter: &Exporter) -> Vec<String> {
    exporter.requests().into_iter().map(|request| request.target).collect()
}

/// What the scraper gets.
fn status(guard: &Guard, target: &str) -> u16 {
    guard.connect().get_as(SCRAPER, target).status
}

/// What a user finds by `/-/targets`.
fn targets(guard: &Guard, user: (&str, &str)) -> Value {
    let answer = guard.connect().get_as(user, "/-/targets");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    serde_json::from_slice(&answer.body).expect("JSON")
}

/// What `check` says of a configuration, and its exit code.
fn check(config: &str) -> (i32, String) {
    let finished = guard::check(config);
    (finished.code.unwrap_or(-1), finished.stdout)
}
