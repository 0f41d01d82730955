//! Writes the list of the guard's metrics, from the same descriptions that the guard exports them
//! by: `cargo run --example metrics > docs/metrics.md`.

use exporter_guard::observe::metrics::{Family, catalogue};

const INTRODUCTION: &str = "\
# Metrics

<!-- Written by `cargo run --example metrics > docs/metrics.md`; a test compares the two. -->

The guard serves its own metrics at `/metrics` of `--telemetry.listen-address`, and behind its own
authentication where an upstream is `self`. A client that names OpenMetrics 1.0 in `Accept`, as Prometheus does,
gets it; every other client gets the text format 0.0.4. `promtool check metrics` has nothing to say about either.

Labels are names that the configuration has, known methods, statuses, and reasons that the guard has words for, so a
client cannot create series. A name that a reload removes takes its series with it. The `route` of a request that was
refused before a route was found is empty; a guard without `proxy.routes` has one route, `default`. Histograms are
classic ones, from 5 ms to 10 s; `convert_classic_histograms_to_nhcb: true` in a scrape configuration of Prometheus 3
stores them as native ones. `conf/prometheus` has rules and a dashboard for these metrics.

| metric | type | labels | meaning |
|---|---|---|---|
";

fn main() {
    print!("{INTRODUCTION}{}", catalogue().into_iter().map(row).collect::<String>());
}

fn row(family: &Family) -> String {
    let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
    let (name, kind) = (family.full_name(), family.type_name());
    format!("| `{name}` | {kind} | {} | {} |\n", labels.join(", "), family.help)
}
