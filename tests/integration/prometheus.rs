//! The real thing: Debian's Prometheus scrapes Debian's node_exporter through the guard.

use crate::support::real::{NodeExporter, PrometheusDir};
use crate::support::*;

const TRUST: &str = "tls_config: {ca_file: ca.crt}";

/// As the README has an operator write it.
const BASIC_AUTH: &str = "
    tls_config:
      ca_file: ca.crt
    basic_auth:
      username: scraper
      password_file: password
    ";

const CLIENT_CERTIFICATE: &str = "
    tls_config:
      ca_file: ca.crt
      cert_file: client.crt
      key_file: client.key
    ";

#[test]
fn prometheus_scrapes_with_tls_and_basic_auth_and_goes_on_after_a_password_change() {
    let exporter = NodeExporter::new();
    let tls = ServerTls::new();
    let config = |password| format!("{TLS}{}", users(&[("scraper", &quick_hash(password))]));
    let guard = GuardBuilder::new()
        .config(config("first"))
        .tls(&tls)
        .upstream(exporter.url())
        .telemetry()
        .start();
    let dir = PrometheusDir::new();
    dir.write("ca.crt", tls.ca.pem());
    dir.write("password", "first");
    let prometheus = dir.start(guard.port(), BASIC_AUTH);
    prometheus.wait_up();

    guard.replace("web.yml", config("second"));
    guard.wait_generation(2);
    let error = prometheus.wait_down();
    assert!(error.contains("401"), "{error}");
    // Prometheus reads the file at each scrape.
    prometheus.write("password", "second");
    prometheus.wait_up();
    prometheus.wait_up();
    assert_eq!(guard.metric("exporter_guard_config_generation"), 2.0);
}

#[test]
fn prometheus_scrapes_with_a_client_certificate() {
    let exporter = NodeExporter::new();
    let tls = ServerTls::new();
    let clients = Authority::new("clients");
    let names = "  client_allowed_sans: [prometheus.example]\n";
    let guard = GuardBuilder::new()
        .config([TLS, VERIFIED_CLIENTS, names].concat())
        .tls(&tls)
        .file("clients.crt", clients.pem())
        .upstream(exporter.url())
        .start();
    let dir = PrometheusDir::new();
    let identity = clients.issue(&Leaf::client().sans(&[San::Dns("prometheus.example")]));
    dir.write("ca.crt", tls.ca.pem());
    dir.write("client.crt", identity.chain_pem());
    dir.write("client.key", identity.key_pem());
    let prometheus = dir.start(guard.port(), CLIENT_CERTIFICATE);
    prometheus.wait_up();

    // A new CA for the clients, and Prometheus with the certificate of the old one.
    let next = Authority::new("next clients");
    guard.replace("clients.crt", next.pem());
    guard.wait_generation(2);
    // Its open connection is the old configuration's; a new one is not let in.
    let refused = TlsClient::new().identity(&identity).try_get(guard.port(), "");
    assert!(refused.is_err());
}

/// The certificate is renewed between two scrapes.
#[test]
fn prometheus_goes_on_after_the_certificate_was_renewed() {
    let exporter = NodeExporter::new();
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream(exporter.url()).start();
    let dir = PrometheusDir::new();
    dir.write("ca.crt", tls.ca.pem());
    let prometheus = dir.start(guard.port(), TRUST);
    prometheus.wait_up();
    let next = tls.ca.issue(&Leaf::server());
    guard.replace("server.key", next.key_pem());
    guard.replace("server.crt", next.chain_pem());
    guard.wait_generation(2);
    prometheus.wait_up();
    prometheus.wait_up();
}

/// `--upstream=self`, in the format that Prometheus negotiates.
#[test]
fn prometheus_reads_the_guards_own_metrics() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).upstream("self").start();
    let dir = PrometheusDir::new();
    dir.write("ca.crt", tls.ca.pem());
    let prometheus = dir.start(guard.port(), TRUST);
    prometheus.wait_up();
    let found = prometheus.api("/api/v1/query?query=exporter_guard_build_info");
    let labels = &found["result"][0]["metric"];
    assert_eq!(labels["version"], env!("CARGO_PKG_VERSION"), "{found}");
    // OpenMetrics names a counter without its suffix.
    let path = "/api/v1/targets/metadata?metric=exporter_guard_config_reloads";
    let kinds = prometheus.api(path);
    assert_eq!(kinds[0]["type"], "counter", "{kinds}");
}
