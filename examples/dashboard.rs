//! Writes the Grafana dashboard, from the names of the metrics that the guard exports:
//! `cargo run --example dashboard > conf/prometheus/dashboard.json`.

use exporter_guard::observe::metrics::catalogue;
use serde_json::{Value, json};

/// The width of the grid of a dashboard, and of a panel.
const GRID: usize = 24;
const HEIGHT: usize = 8;

/// The series of the chosen guards.
const CHOSEN: &str = "job=~\"$job\", instance=~\"$instance\"";

/// One panel: title, kind, unit, width, what it shows, and its queries with their legends.
struct Panel {
    title: &'static str,
    kind: &'static str,
    unit: &'static str,
    width: usize,
    description: &'static str,
    queries: Vec<(String, &'static str)>,
}

/// Returns a metric of the chosen guards.
///
/// # Panics
///
/// Panics if the guard exports no such metric; the suffixes of a histogram are left out.
fn metric(name: &str) -> String {
    let is_exported = |family: &str| {
        name == family || name.strip_prefix(family).is_some_and(|rest| rest == "_bucket")
    };
    let known = catalogue().iter().any(|family| is_exported(&family.full_name()));
    assert!(known, "no metric {name}");
    format!("{name}{{{CHOSEN}}}")
}

fn rate(by: &str, name: &str) -> String {
    format!("sum by ({by}) (rate({}[$__rate_interval]))", metric(name))
}

fn quantile(quantile: &str, name: &str) -> String {
    let rate = rate("route, le", &format!("{name}_bucket"));
    format!("histogram_quantile({quantile}, {rate})")
}

fn panels() -> Vec<(&'static str, Vec<Panel>)> {
    vec![
        ("State", state()),
        ("Requests", requests()),
        ("Who", callers()),
        ("Connections", connections()),
        ("Process", process()),
    ]
}

fn stat(
    title: &'static str,
    unit: &'static str,
    description: &'static str,
    query: String,
) -> Panel {
    Panel {
        title,
        kind: "stat",
        unit,
        width: 6,
        description,
        queries: vec![(query, "{{instance}}")],
    }
}

fn graph(
    title: &'static str,
    unit: &'static str,
    description: &'static str,
    queries: Vec<(String, &'static str)>,
) -> Panel {
    Panel { title, kind: "timeseries", unit, width: 12, description, queries }
}

fn state() -> Vec<Panel> {
    let ends = metric("exporter_guard_certificate_not_after_timestamp_seconds");
    vec![
        stat(
            "Last reload",
            "bool_yes_no",
            "Whether the last attempt to load the configuration succeeded.",
            metric("exporter_guard_config_last_reload_successful"),
        ),
        stat(
            "Configuration loaded",
            "dateTimeAsIso",
            "When the configuration in force was loaded.",
            format!(
                "{} * 1000",
                metric("exporter_guard_config_last_reload_success_timestamp_seconds")
            ),
        ),
        stat(
            "First certificate to end",
            "s",
            "The time until the first certificate of any use ends.",
            format!("min by (instance) ({ends} - time())"),
        ),
        stat(
            "Upstreams down",
            "short",
            "Exporters that could not be reached the last time.",
            format!(
                "count by (instance) ({} == 0) or vector(0)",
                metric("exporter_guard_upstream_up")
            ),
        ),
        Panel {
            title: "Certificates",
            kind: "table",
            unit: "s",
            width: GRID,
            description: "The time until each certificate ends.",
            queries: vec![(format!("sort({ends} - time())"), "")],
        },
    ]
}

fn requests() -> Vec<Panel> {
    let durations = "exporter_guard_http_request_duration_seconds";
    let upstream = "exporter_guard_upstream_request_duration_seconds";
    vec![
        graph(
            "Requests",
            "reqps",
            "Answers by route and status.",
            vec![(rate("route, code", "exporter_guard_http_requests_total"), "{{route}} {{code}}")],
        ),
        graph(
            "Latency",
            "s",
            "From the head of a request to the end of its answer, and the exporter's part of that.",
            vec![
                (quantile("0.5", durations), "{{route}} median"),
                (quantile("0.99", durations), "{{route}} p99"),
                (quantile("0.99", upstream), "{{route}} p99 of the exporter"),
            ],
        ),
        graph(
            "Refusals",
            "reqps",
            "Requests that did not reach an exporter, by reason.",
            vec![(rate("reason", "exporter_guard_refused_requests_total"), "{{reason}}")],
        ),
        graph(
            "Failures of exporters",
            "reqps",
            "Requests without an answer of the exporter, by cause.",
            vec![(rate("reason", "exporter_guard_upstream_failures_total"), "{{reason}}")],
        ),
        graph(
            "Bytes",
            "Bps",
            "Bodies sent to clients and received from them.",
            vec![
                (rate("route", "exporter_guard_http_response_body_bytes_total"), "{{route}} sent"),
                (
                    rate("route", "exporter_guard_http_request_body_bytes_total"),
                    "{{route}} received",
                ),
            ],
        ),
        graph(
            "In flight",
            "short",
            "Requests being answered, and those that share the answer of another one.",
            vec![
                (metric("exporter_guard_http_requests_in_flight"), "{{instance}}"),
                (
                    rate("instance", "exporter_guard_shared_requests_total"),
                    "{{instance}} shared a second",
                ),
            ],
        ),
    ]
}

fn callers() -> Vec<Panel> {
    let last = metric("exporter_guard_caller_last_success_timestamp_seconds");
    vec![
        graph(
            "Callers",
            "reqps",
            "Authorized requests by user, token and certificate name.",
            vec![(rate("kind, name", "exporter_guard_caller_requests_total"), "{{kind}} {{name}}")],
        ),
        Panel {
            title: "Time since the last success",
            kind: "table",
            unit: "s",
            width: 12,
            description: "A scraper whose time grows is refused, or scrapes no more.",
            queries: vec![(format!("sort_desc(time() - {last})"), "")],
        },
        graph(
            "Authentication",
            "reqps",
            "Credentials by what was found of them.",
            vec![(rate("result", "exporter_guard_authentications_total"), "{{result}}")],
        ),
        graph(
            "bcrypt",
            "short",
            "Credentials that wait, are checked, and are remembered.",
            vec![
                (metric("exporter_guard_verifier_queue_length"), "{{instance}} waiting"),
                (
                    rate("instance", "exporter_guard_verifier_checks_total"),
                    "{{instance}} checked a second",
                ),
                (
                    rate("instance", "exporter_guard_credential_cache_hits_total"),
                    "{{instance}} remembered a second",
                ),
            ],
        ),
    ]
}

fn connections() -> Vec<Panel> {
    vec![
        graph(
            "Open connections",
            "short",
            "Connections beside their limit.",
            vec![
                (metric("exporter_guard_open_connections"), "{{instance}}"),
                (metric("exporter_guard_connections_limit"), "{{instance}} limit"),
            ],
        ),
        graph(
            "Refused connections",
            "cps",
            "Connections closed because a limit was reached.",
            vec![(rate("reason", "exporter_guard_refused_connections_total"), "{{reason}}")],
        ),
        graph(
            "Handshakes",
            "ops",
            "TLS handshakes by version and resumption.",
            vec![(
                rate("version, resumed", "exporter_guard_handshakes_total"),
                "{{version}} resumed: {{resumed}}",
            )],
        ),
        graph(
            "Failed handshakes",
            "ops",
            "Connections that ended before their first request.",
            vec![(rate("reason", "exporter_guard_handshake_failures_total"), "{{reason}}")],
        ),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        graph(
            "CPU",
            "percentunit",
            "Cores in use.",
            vec![(rate("instance", "process_cpu_seconds_total"), "{{instance}}")],
        ),
        graph(
            "Memory",
            "bytes",
            "Memory in use.",
            vec![(metric("process_resident_memory_bytes"), "{{instance}}")],
        ),
        graph(
            "File descriptors",
            "short",
            "Open descriptors beside their limit.",
            vec![
                (metric("process_open_fds"), "{{instance}}"),
                (metric("process_max_fds"), "{{instance}} limit"),
            ],
        ),
        graph(
            "Dropped log lines",
            "short",
            "Lines that standard error was not read fast enough for.",
            vec![(rate("instance", "exporter_guard_log_dropped_lines_total"), "{{instance}}")],
        ),
    ]
}

fn render(panel: &Panel, id: usize, (x, y): (usize, usize)) -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let is_graph = panel.kind == "timeseries";
    let format = if panel.kind == "table" { "table" } else { "time_series" };
    let targets = panel.queries.iter().zip('A'..).map(|((expression, legend), letter)| {
        json!({
            "refId": letter.to_string(), "datasource": source, "expr": expression,
            "legendFormat": legend, "format": format, "instant": !is_graph, "range": is_graph,
        })
    });
    json!({
        "id": id, "type": panel.kind, "title": panel.title, "description": panel.description,
        "datasource": source,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
        "targets": targets.collect::<Vec<_>>(),
    })
}

fn variable(name: &str, query: &str) -> Value {
    json!({
        "name": name, "type": "query", "label": name, "query": query, "refresh": 2, "sort": 1,
        "multi": true, "includeAll": true, "current": {"text": "All", "value": "$__all"},
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
    })
}

fn main() {
    let (mut all, mut id, mut y) = (Vec::new(), 0, 0);
    for (title, panels) in panels() {
        id += 1;
        all.push(json!({
            "id": id, "type": "row", "title": title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": GRID, "h": 1},
        }));
        y += 1;
        let mut x = 0;
        for panel in panels {
            if x + panel.width > GRID {
                (x, y) = (0, y + HEIGHT);
            }
            id += 1;
            all.push(render(&panel, id, (x, y)));
            x += panel.width;
        }
        y += HEIGHT;
    }
    let dashboard = json!({
        "uid": "exporter-guard", "title": "exporter-guard", "tags": ["exporter-guard"],
        "description": "The guard's own metrics. Made by `cargo run --example dashboard`.",
        "schemaVersion": 39, "editable": true, "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [
            {"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus"},
            variable("job", "label_values(exporter_guard_build_info, job)"),
            variable("instance", "label_values(exporter_guard_build_info{job=~\"$job\"}, instance)"),
        ]},
        "panels": all,
    });
    println!("{}", serde_json::to_string_pretty(&dashboard).expect("JSON"));
}
