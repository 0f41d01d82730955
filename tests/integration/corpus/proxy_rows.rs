//! `proxy`, which the oracles do not know.

use super::rows::TLS;
use super::{Oracles, Row, bad, good};

pub fn rows() -> Vec<Row> {
    let proxy = |lines: &str| format!("{TLS}proxy:\n  {}\n", lines.replace('\n', "\n  "));
    let mut rows = vec![
        good("an empty proxy section", "proxy: {}\n"),
        good("a public path", proxy("public_paths: [/-/healthy]")),
        good("two public paths", proxy("public_paths:\n- /-/healthy\n- /")),
        good(
            "limits",
            proxy(
                "limits:\n  connect_timeout: 1s\n  response_timeout: 1m\n  max_header_bytes: 8192",
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
        bad("a timeout of zero", 4, "more than 0", proxy("limits:\n  idle_timeout: 0s")),
        bad(
            "a timeout without unit",
            4,
            "expected a duration",
            proxy("limits:\n  idle_timeout: 1.5"),
        ),
        good(
            "every limit",
            proxy(
                "limits:\n  body_timeout: 1s\n  write_timeout: 1s\n  max_connections: 10\n  \
                 max_connections_per_address: 5\n  max_auth_failures: 3",
            ),
        ),
        bad("no connection at all", 4, "expected 1 to", proxy("limits:\n  max_connections: 0")),
        bad("failures below zero", 4, "expected 1 to", proxy("limits:\n  max_auth_failures: -1")),
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
        bad("an unknown limit", 4, "unknown key", proxy("limits:\n  timeout: 1s")),
        bad(
            "a header limit that fits nothing",
            4,
            "expected 1024",
            proxy("limits:\n  max_header_bytes: 10"),
        ),
    ];
    for row in &mut rows {
        if row.verdict.accepts() {
            row.oracles = Oracles::Differ("the section is ours");
        }
    }
    rows
}
