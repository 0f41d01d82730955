//! The rules and the dashboard in `conf/prometheus`: by promtool, by Grafana's own schema, and beside
//! the list of what the guard exports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use exporter_guard::observe::metrics::{Family, catalogue};
use serde_json::Value;

use crate::support::process::Finished;
use crate::support::*;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prometheus")
}

fn read(name: &str) -> String {
    fs::read_to_string(directory().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn promtool(directory: &Path, args: &[&str]) -> Finished {
    Finished::run(process::command("promtool").args(args), directory, b"")
}

#[test]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    let check = ["check", "rules", "--lint=all", "--lint-fatal", "exporter-guard.rules.yml"];
    promtool(&directory(), &check).expect_code(0);
    promtool(&directory(), &["test", "rules", "exporter-guard.rules.test.yml"]).expect_code(0);
}

/// An alert that no test sees fire may never do so, and one that no test sees silent may always do.
#[test]
fn every_alert_is_tested_firing_and_silent() {
    let rules = read("exporter-guard.rules.yml");
    let alerts = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let tests: serde_yaml::Value =
        serde_yaml::from_str(&read("exporter-guard.rules.test.yml")).unwrap();
    let tests: Value = serde_json::to_value(tests).unwrap();
    let cases = tests["tests"].as_array().expect("tests").iter();
    let cases = cases.filter_map(|test| test["alert_rule_test"].as_array()).flatten();
    let mut seen: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
    for case in cases {
        let (fires, silent) = seen.entry(case["alertname"].as_str().expect("a name")).or_default();
        let expected = case["exp_alerts"].as_array().expect("alerts");
        *fires |= !expected.is_empty();
        *silent |= expected.is_empty();
    }
    let mut count = 0;
    for alert in alerts {
        assert_eq!(seen.get(alert), Some(&(true, true)), "{alert}: (firing, silent)");
        count += 1;
    }
    assert!(count >= 8, "{count} alerts");
}

/// A change of a threshold has to break a test of the rules.
#[test]
fn the_tests_of_the_rules_notice_a_change() {
    let rules = read("exporter-guard.rules.yml");
    for (from, to) in [
        ("< 14 * 86400", "< 9 * 86400"),
        ("< 3 * 86400", "< 14 * 86400"),
        ("_successful == 0", "_successful == 1"),
        ("_up == 0", "_up == 2"),
        ("> 20\n", "> 200\n"),
        ("> 0.8", "> 0.95"),
        ("[1d]", "[1m]"),
        ("histogram_quantile(0.99,", "histogram_quantile(0.5,"),
    ] {
        assert!(rules.contains(from), "{from}");
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("exporter-guard.rules.yml"), rules.replace(from, to)).unwrap();
        fs::copy(
            directory().join("exporter-guard.rules.test.yml"),
            dir.path().join("exporter-guard.rules.test.yml"),
        )
        .unwrap();
        let said = promtool(dir.path(), &["test", "rules", "exporter-guard.rules.test.yml"]);
        assert_eq!(said.code, Some(1), "{from} to {to}");
    }
}

fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().expect("a query").to_owned()).collect()
}

/// The words of a text that may be names of metrics or of labels.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':')
}

/// Every name of a metric, and every label beside it, is one that the guard exports.
#[test]
fn the_rules_and_the_dashboard_use_what_the_guard_exports() {
    let families: BTreeMap<String, &Family> =
        catalogue().into_iter().map(|family| (family.full_name(), family)).collect();
    let rules = read("exporter-guard.rules.yml");
    let recorded: BTreeSet<&str> =
        rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).collect();
    let tests = read("exporter-guard.rules.test.yml");
    let dashboard = read("dashboard.json");
    let mut used = BTreeSet::new();
    for text in [&rules, &tests, &dashboard] {
        let names = words(text).filter(|word| !recorded.contains(word));
        for name in
            names.filter(|name| name.starts_with("exporter_guard_") || name.starts_with("process_"))
        {
            let family = families.get(name).or_else(|| families.get(name.strip_suffix("_bucket")?));
            assert!(family.is_some(), "{name} is not exported");
            used.insert(name.to_owned());
        }
        for name in words(text).filter(|word| word.contains(":exporter_guard_")) {
            assert!(recorded.contains(name), "{name} is not recorded");
        }
    }
    assert!(used.len() >= 20, "{used:?}");
    // Labels that queries group and select by; those of Prometheus itself are `job` and `instance`.
    let known: BTreeSet<&str> =
        families.values().flat_map(|family| family.labels).copied().collect();
    let expressions = expressions().join("\n");
    for text in [rules.as_str(), expressions.as_str()] {
        let groups = text.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
        for label in groups.flat_map(|labels| labels.split(',')).map(str::trim) {
            let is_known = known.contains(label) || ["job", "instance", "le"].contains(&label);
            assert!(is_known, "{label}");
        }
    }
}

/// Every query of the dashboard is one that Prometheus can parse, with Grafana's variables filled in.
#[test]
fn promtool_accepts_every_query_of_the_dashboard() {
    let dir = tempfile::tempdir().unwrap();
    let expressions = expressions();
    assert!(expressions.len() >= 25, "{}", expressions.len());
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(index, expression)| {
            let filled = expression.replace("$__rate_interval", "5m").replace("$job", ".*");
            serde_json::json!({"record": format!("a:b:{index}"), "expr": filled.replace("$instance", ".*")})
        })
        .collect();
    // YAML has JSON in it.
    let file = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]});
    fs::write(dir.path().join("rules.yml"), file.to_string()).unwrap();
    promtool(dir.path(), &["check", "rules", "rules.yml"]).expect_code(0);
}

#[test]
fn the_dashboard_is_made_from_the_names_of_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut make = process::command(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    make.args(["run", "--locked", "--quiet", "--example=dashboard"]);
    let expected = Finished::run(&mut make, root, b"").expect_code(0).stdout;
    let remedy = "run `cargo run --example dashboard > conf/prometheus/dashboard.json`";
    assert!(read("dashboard.json") == expected, "{remedy}");
}

/// No two panels have the same id or the same place.
#[test]
fn the_panels_of_the_dashboard_do_not_overlap() {
    let dashboard: Value = serde_json::from_str(&read("dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let mut cells = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64()), "{panel}");
        let of = |key: &str| panel["gridPos"][key].as_u64().expect(key);
        assert!(of("x") + of("w") <= 24, "{panel}");
        for x in of("x")..of("x") + of("w") {
            for y in of("y")..of("y") + of("h") {
                assert!(cells.insert((x, y)), "{panel}");
            }
        }
    }
}

/// Grafana publishes the schema of dashboards as TypeScript, so the compiler of that is the checker.
#[test]
#[ignore = "asks for @grafana/schema, which `make stress` installs"]
fn grafana_s_schema_accepts_the_dashboard() {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/grafana-schema");
    let check = |name: &str, dashboard: &str| {
        let text = format!(
            "import type {{ Dashboard }} from '@grafana/schema';\n\
             export const dashboard: Dashboard = {dashboard};\n"
        );
        fs::write(tools.join(name), text).unwrap();
        let mut compiler = process::command(tools.join("node_modules/.bin/tsc"));
        compiler.args(["--noEmit", "--strict", "--skipLibCheck", "--module", "nodenext", name]);
        Finished::run(&mut compiler, &tools, b"")
    };
    let dashboard = read("dashboard.json");
    check("dashboard.ts", &dashboard).expect_code(0);
    let broken = dashboard.replace("\"gridPos\"", "\"gridPosition\"");
    assert_ne!(check("broken.ts", &broken).code, Some(0), "the schema checks something");
}
