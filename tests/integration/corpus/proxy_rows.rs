//! `proxy`, which the oracles do not know.

use super::rows::TLS;
use super::{Oracles, Row, bad, good};
use crate::support::proxy;

pub fn rows() -> Vec<Row> {
    let proxy = |keys: &str| TLS.to_owned() + &proxy(keys);
    let mut rows = vec![
        good("an empty proxy section", "proxy: {}\n"),
        good("a public path", proxy("public_paths: [/-/healthy]")),
        good(
            "two public paths",
            proxy(
                "
                public_paths:
                - /-/healthy
                - /
                ",
            ),
        ),
        good(
            "limits",
            proxy(
                "
                limits:
                  connect_timeout: 1s
                  response_timeout: 1m
                  max_header_bytes: 8192
                ",
            ),
        ),
        bad("an unknown key for proxy", 3, "unknown key", proxy("public_path: [/a]")),
        bad(
            "a public path without slash",
            3,
            "does not start with /",
            proxy("public_paths: [metrics]"),
        ),
        bad("a public path with a query", 3, "not plain", proxy("public_paths: ['/a?b']")),
        bad("a public path with an escape", 3, "not plain", proxy("public_paths: ['/%6detrics']")),
        bad("a public path with dots", 3, "dot segment", proxy("public_paths: [/a/../b]")),
        bad("a public path with a double slash", 3, "dot segment", proxy("public_paths: [//a]")),
        bad(
            "a timeout of zero",
            4,
            "more than 0",
            proxy(
                "
                limits:
                  idle_timeout: 0s
                ",
            ),
        ),
        bad(
            "a timeout without unit",
            4,
            "expected a duration",
            proxy(
                "
                limits:
                  idle_timeout: 1.5
                ",
            ),
        ),
        good(
            "every limit",
            proxy(
                "
                limits:
                  body_timeout: 1s
                  write_timeout: 1s
                  max_connections: 10
                  max_connections_per_address: 5
                  max_auth_failures: 3
                  max_in_flight: 5
                ",
            ),
        ),
        bad(
            "no connection at all",
            4,
            "expected 1 to",
            proxy(
                "
                limits:
                  max_connections: 0
                ",
            ),
        ),
        bad(
            "nothing in flight",
            4,
            "expected 1 to",
            proxy(
                "
                limits:
                  max_in_flight: 0
                ",
            ),
        ),
        good(
            "a route with its own limit of requests in flight",
            proxy(
                "
                routes:
                - path: /a
                  upstreams: [unix:/x]
                  access: [{networks: [10.0.0.0/8]}]
                  max_in_flight: 200
                ",
            ),
        ),
        bad(
            "a limit of requests in flight for the default route alone",
            3,
            "unknown key",
            proxy("max_in_flight: 5"),
        ),
        bad(
            "failures below zero",
            4,
            "expected 1 to",
            proxy(
                "
                limits:
                  max_auth_failures: -1
                ",
            ),
        ),
        bad(
            "a load balancer without sources",
            3,
            "sources: missing",
            proxy("proxy_protocol: [{listen_address: ':1'}]"),
        ),
        bad(
            "a load balancer without a listener",
            3,
            "listen_address: missing",
            proxy("proxy_protocol: [{sources: [10.0.0.1]}]"),
        ),
        bad(
            "a load balancer that is no network",
            3,
            "expected an address, a network or unix",
            proxy("proxy_protocol: [{listen_address: ':1', sources: [lb.example]}]"),
        ),
        bad(
            "an unknown limit",
            4,
            "unknown key",
            proxy(
                "
                limits:
                  timeout: 1s
                ",
            ),
        ),
        bad(
            "a header limit that fits nothing",
            4,
            "expected 1024",
            proxy(
                "
                limits:
                  max_header_bytes: 10
                ",
            ),
        ),
    ];
    for row in &mut rows {
        if row.verdict.accepts() {
            row.oracles = Oracles::Differ("the section is ours");
        }
    }
    rows
}
