//! `/-/targets`: Prometheus finds the routes it may scrape.

use std::fs;

use serde_json::{Value, json};

use super::*;
use crate::support::process::{Process, command};
use crate::support::real::{NodeExporter, PrometheusDir};

#[test]
fn a_user_finds_the_routes_that_it_may_scrape() {
    let hash = quick_hash(SCRAPER.1);
    let config = users(&[("scraper", &hash), ("alice", &hash)])
        + &proxy_routes(
            "
            - path: /node
              upstreams: ['unix:/x']
              labels: {team: a, instance: n1}
            - name: own
              path: /own
              upstreams: ['unix:/x']
              paths: [/probe, /metrics]
              strip_path: true
              access: [{users: [alice]}]
            - hosts: [db.example]
              upstreams: ['unix:/x']
            ",
        );
    let guard = GuardBuilder::new().config(config).start();
    let entry = |address: &str, path: &str, labels: Value| {
        let mut all = json!({ "__scheme__": "http", "__metrics_path__": path });
        all.as_object_mut().unwrap().extend(labels.as_object().unwrap().clone());
        json!({ "targets": [address], "labels": all })
    };
    let node = entry("localhost:80", "/node/metrics", json!({ "team": "a", "instance": "n1" }));
    let own = entry("localhost:80", "/own/probe", json!({ "instance": "own" }));
    let db = entry("db.example:80", "/metrics", json!({ "instance": "db.example" }));
    assert_eq!(targets(&guard, SCRAPER), json!([node, db]));
    assert_eq!(targets(&guard, ("alice", SCRAPER.1)), json!([node, own, db]));
    assert_eq!(guard.connect().get("/-/targets").status, 401);
    let post = format!(
        "POST /-/targets HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nAuthorization: {}\r\n\r\n",
        basic(SCRAPER.0, SCRAPER.1)
    );
    assert_eq!(guard.connect().request(post).status, 405);
}

/// Debian's node, blackbox and process exporters, and its Prometheus, which is told of the guard
/// alone.
#[test]
fn prometheus_discovers_three_exporters() {
    let node = NodeExporter::new();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("blackbox.yml"), "modules: {tcp: {prober: tcp}}\n").unwrap();
    fs::write(dir.path().join("process.yml"), "process_names: [{comm: [prometheus]}]\n").unwrap();
    let mut blackbox = command("prometheus-blackbox-exporter");
    blackbox.args(["--config.file=blackbox.yml", "--web.listen-address=127.0.0.1:0"]);
    let blackbox = Process::spawn(blackbox, dir.path());
    let mut process = command("prometheus-process-exporter");
    process.args(["-config.path=process.yml", "-web.listen-address=127.0.0.1:0"]);
    let process = Process::spawn(process, dir.path());

    let tls = ServerTls::new();
    let routes = yaml(&format!(
        "
        - {{path: /node, upstreams: ['{}']}}
        - {{path: /blackbox, upstreams: ['http://{}'], paths: [/metrics, /probe]}}
        - {{path: /process, upstreams: ['http://{}']}}
        ",
        node.url(),
        real::address(&blackbox),
        real::address(&process)
    ));
    let config = format!("{TLS}{}", with_routes(&routes));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let dir = PrometheusDir::new();
    dir.write("ca.crt", tls.ca.pem());
    dir.write("password", SCRAPER.1);
    let jobs = format!(
        "
        - job_name: guarded
          tls_config: {{ca_file: ca.crt}}
          basic_auth: {{username: scraper, password_file: password}}
          http_sd_configs:
          - url: https://127.0.0.1:{}/-/targets
            refresh_interval: 1s
            tls_config: {{ca_file: ca.crt}}
            basic_auth: {{username: scraper, password_file: password}}
        ",
        guard.port()
    );
    let prometheus = dir.start_with(&jobs);
    eventually("three targets up", || {
        let found = prometheus.api("/api/v1/targets")["activeTargets"].clone();
        let up = |target: &&Value| target["health"] == "up";
        found.as_array().is_some_and(|found| found.iter().filter(up).count() == 3)
    });
    let found = prometheus.api("/api/v1/query?query=count(up)by(instance)");
    let mut instances: Vec<String> = found["result"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["metric"]["instance"].as_str().unwrap().to_owned())
        .collect();
    instances.sort();
    assert_eq!(instances, ["blackbox", "node", "process"]);
}
