//! `https` upstreams: Debian's node_exporter with TLS of its own, and client certificates.

use super::*;
use crate::support::process::{Process, command};

/// A node_exporter that wants a certificate of `clients`.
struct Exporter {
    process: Process,
    _dir: tempfile::TempDir,
}

impl Exporter {
    fn new(server: &Identity, clients: &Authority) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str| dir.path().join(name);
        guard::write_pair(dir.path(), "server", server);
        guard::write(&file("clients.crt"), clients.pem());
        guard::write(&file("web.yml"), [TLS, VERIFIED_CLIENTS].concat());
        let mut exporter = command("prometheus-node-exporter");
        exporter.args(["--web.listen-address=127.0.0.1:0", "--web.config.file=web.yml"]);
        Self { process: Process::spawn(exporter, dir.path()), _dir: dir }
    }

    fn port(&self) -> u16 {
        wire::port(&real::address(&self.process))
    }
}

/// One route, with these further keys of `upstream_tls`.
fn config(port: u16, more: &str) -> String {
    let route = format!(
        "
        - path: /node
          upstreams: ['https://127.0.0.1:{port}']
          upstream_tls:
            ca_file: exporters.crt
            server_name: localhost
        "
    );
    with_routes(&(yaml(&route) + &indented(4, more)))
}

const CLIENT: &str = "
    cert_file: guard.crt
    key_file: guard.key
    ";

#[test]
fn an_exporter_with_tls_is_verified_and_gets_the_certificate_of_the_guard() {
    let (servers, clients) = (Authority::new("exporters"), Authority::new("guards"));
    let exporter = Exporter::new(&servers.issue(&Leaf::server()), &clients);
    let identity = clients.issue(&Leaf::client());
    let builder = GuardBuilder::new()
        .config(config(exporter.port(), CLIENT))
        .file("exporters.crt", servers.pem())
        .pair("guard", &identity);
    let guard = builder.start();
    let answer = guard.connect().get_as(SCRAPER, "/node/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.text().contains("node_exporter_build_info"));

    // Of another CA: connections that are open count no more either.
    guard.replace("exporters.crt", Authority::new("others").pem());
    guard.wait_generation(2);
    assert_eq!(status(&guard, "/node/metrics"), 502);
    guard.replace("exporters.crt", servers.pem());
    guard.wait_generation(3);
    assert_eq!(status(&guard, "/node/metrics"), 200);

    // Another name than the certificate has.
    let named = config(exporter.port(), CLIENT).replace("localhost", "other.example");
    guard.replace("web.yml", named);
    guard.wait_generation(4);
    assert_eq!(status(&guard, "/node/metrics"), 502);

    // Without its own certificate the guard is refused.
    guard.replace("web.yml", config(exporter.port(), ""));
    guard.wait_generation(5);
    assert_eq!(status(&guard, "/node/metrics"), 502);
}

#[test]
fn findings_about_upstream_tls_name_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let file = |name: &str| dir.path().join(name);
    guard::write(&file("ca.crt"), ca.pem());
    guard::write(&file("own.crt"), other.issue(&Leaf::client()).chain_pem());
    guard::write(&file("own.key"), ca.issue(&Leaf::client()).key_pem());
    guard::write(&file("no.crt"), "nothing");
    for (upstream, tls, message) in [
        ("https://a.example", "", "https upstreams need a ca_file"),
        ("https://a.example", "upstream_tls: {server_name: x}", "ca_file: missing"),
        ("https://10.0.0.1", "upstream_tls: {ca_file: ca.crt}", "server_name: missing"),
        ("http://a.example", "upstream_tls: {ca_file: ca.crt}", "none of the upstreams is https"),
        ("https://a.example", "upstream_tls: {ca_file: no.crt}", "no PEM certificate"),
        ("https://a.example", "upstream_tls: {ca_file: absent.crt}", "cannot read"),
        ("https://a.example", "upstream_tls: {ca_file: ca.crt, cert_file: own.crt}", "together"),
        (
            "https://a.example",
            "upstream_tls: {ca_file: ca.crt, cert_file: own.crt, key_file: own.key}",
            "does not belong",
        ),
    ] {
        let tls = if tls.is_empty() { String::new() } else { format!(", {tls}") };
        let config = with_routes(&format!("- {{path: /a, upstreams: ['{upstream}']{tls}}}\n"));
        guard::write(&file("web.yml"), config);
        let said = guard::run(dir.path(), &["check", "web.yml"]).expect_code(1).stdout;
        let is_said = |line: &str| line.starts_with("web.yml:5: error") && line.contains(message);
        assert!(said.lines().any(is_said), "{message:?} in\n{said}");
    }
}

#[test]
fn an_exporter_whose_certificate_is_revoked_gets_no_request() {
    const DAY: i64 = 24 * 60 * 60;
    let (servers, clients) = (Authority::new("exporters"), Authority::new("guards"));
    let identity = servers.issue(&Leaf::server());
    let exporter = Exporter::new(&identity, &clients);
    let list = |next_update, revoked: &[&openssl::x509::X509]| {
        servers.revocation_list(revoked, next_update).to_pem().unwrap()
    };
    let with_list = format!("{}crl_file: list.crl\n", yaml(CLIENT));
    let guard = GuardBuilder::new()
        .config(config(exporter.port(), &with_list))
        .file("exporters.crt", servers.pem())
        .file("list.crl", list(DAY, &[]))
        .pair("guard", &clients.issue(&Leaf::client()))
        .telemetry()
        .start();
    assert_eq!(status(&guard, "/node/metrics"), 200);
    let ends = "exporter_guard_revocation_list_next_update_timestamp_seconds\
                {use=\"upstream_ca\",issuer=\"CN=exporters\"}";
    assert!(guard.metric(ends) > 0.0);
    guard.replace("list.crl", list(DAY, &[&identity.cert]));
    guard.wait_generation(2);
    assert_eq!(status(&guard, "/node/metrics"), 502);
    guard.wait_log("the reason", |line| line.contains("its certificate is revoked"));
    guard.replace("list.crl", list(-60, &[]));
    guard.wait_generation(3);
    assert_eq!(status(&guard, "/node/metrics"), 502, "the list has expired");
    guard.replace("list.crl", list(DAY, &[]));
    guard.wait_generation(4);
    assert_eq!(status(&guard, "/node/metrics"), 200);
    // A connection that is kept open ends with the list.
    guard.replace("list.crl", list(3, &[]));
    guard.wait_generation(5);
    assert_eq!(status(&guard, "/node/metrics"), 200);
    eventually("the end of the list", || status(&guard, "/node/metrics") == 502);
    guard.replace("web.yml", config(exporter.port(), CLIENT));
    let line = guard.wait_failed_reload(1);
    assert!(line.contains("upstream_tls.crl_file"), "{line}");
}
