//! Everything in the file can change, for new connections, with none dropped.

use openssl::ssl::SslVersion;

use super::with_password;
use crate::support::*;

#[test]
fn users_are_added_and_removed_by_a_reload() {
    let (ann, bob) = (quick_hash("a"), quick_hash("b"));
    let guard = GuardBuilder::new().config(users(&[("ann", &ann)])).start();
    let status = |user, password| guard.connect().get_as((user, password), "/metrics").status;
    assert_eq!((status("ann", "a"), status("bob", "b")), (200, 401));
    guard.replace("web.yml", users(&[("ann", &ann), ("bob", &bob)]));
    let line = guard.wait_generation(2);
    assert!(logfmt::field(&line, "changed").contains("users"), "{line}");
    assert_eq!(logfmt::field(&line, "level"), "INFO", "{line}");
    assert_eq!((status("ann", "a"), status("bob", "b")), (200, 200));
    guard.replace("web.yml", users(&[("bob", &bob)]));
    guard.wait_generation(3);
    assert_eq!((status("ann", "a"), status("bob", "b")), (401, 200));
}

#[test]
fn a_new_certificate_with_its_key_is_served() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    assert_eq!(guard.certificate(), tls.identity.cert.to_der().unwrap());
    let next = tls.ca.issue(&Leaf::server().valid(-1, 200));
    // One after the other; in between they do not match.
    guard.replace("server.crt", next.chain_pem());
    guard.replace("server.key", next.key_pem());
    let line = guard.wait_generation(2);
    assert_eq!(guard.certificate(), next.cert.to_der().unwrap());
    assert!(logfmt::field(&line, "changed").contains("certificate"), "{line}");
    let (old, new) =
        (logfmt::field(&line, "cert_not_after_old"), logfmt::field(&line, "cert_not_after"));
    assert!(old.starts_with("20") && new.starts_with("20") && old < new, "{line}");
}

/// Issued anew for the same key.
#[test]
fn a_new_certificate_for_the_same_key_is_served() {
    let (first, second) = (Authority::new("one"), Authority::new("two"));
    let identity = first.issue(&Leaf::server());
    let builder = GuardBuilder::new().config(TLS).file("server.key", identity.key_pem());
    let guard = builder.file("server.crt", identity.chain_pem()).start();
    let renewed = certificates::renew(&second, &identity);
    guard.replace("server.crt", renewed.chain_pem());
    guard.wait_generation(2);
    assert_eq!(guard.certificate(), renewed.cert.to_der().unwrap());
}

#[test]
fn a_changed_client_ca_file_decides_about_new_connections() {
    let tls = ServerTls::new();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let builder = GuardBuilder::new().config(format!("{TLS}{VERIFIED_CLIENTS}")).tls(&tls);
    let guard = builder.file("clients.crt", old.pem()).start();
    let gets_in = |ca: &Authority| {
        let client = TlsClient::new().identity(&ca.issue(&Leaf::client()));
        client.try_get(guard.port(), "").is_ok()
    };
    assert_eq!((gets_in(&old), gets_in(&new)), (true, false));
    guard.write("clients.crt", format!("{}{}", old.pem(), new.pem()));
    guard.wait_generation(2);
    assert_eq!((gets_in(&old), gets_in(&new)), (true, true));
    guard.replace("clients.crt", new.pem());
    guard.wait_generation(3);
    assert_eq!((gets_in(&old), gets_in(&new)), (false, true));
}

#[test]
fn a_client_auth_type_that_was_added_is_enforced() {
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let guard = GuardBuilder::new().config(TLS).tls(&tls).file("clients.crt", ca.pem()).start();
    let anybody = || TlsClient::new().try_get(guard.port(), "").is_ok();
    assert!(anybody());
    guard.replace("web.yml", format!("{TLS}{VERIFIED_CLIENTS}"));
    guard.wait_generation(2);
    assert!(!anybody());
    let client = TlsClient::new().identity(&ca.issue(&Leaf::client()));
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
}

#[test]
fn http2_is_turned_off_and_on_for_new_connections() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let alpn = || {
        let client = TlsClient::new().alpn(tls::H2_AND_HTTP1).connect(guard.port());
        client.ssl().selected_alpn_protocol().map(<[u8]>::to_vec)
    };
    assert_eq!(alpn().as_deref(), Some(&b"h2"[..]));
    guard.replace(
        "web.yml",
        TLS.to_owned()
            + &yaml(
                "
                http_server_config:
                  http2: false
                ",
            ),
    );
    guard.wait_generation(2);
    assert_eq!(alpn().as_deref(), Some(&b"http/1.1"[..]));
    guard.replace("web.yml", TLS);
    guard.wait_generation(3);
    assert_eq!(alpn().as_deref(), Some(&b"h2"[..]));
}

#[test]
fn changed_tls_versions_and_suites_are_enforced() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let tls12 = |ciphers: &str| {
        let client = TlsClient::new().version(SslVersion::TLS1_2).ciphers(ciphers);
        client.try_connect(guard.port()).is_ok()
    };
    const AES128: &str = "ECDHE-ECDSA-AES128-GCM-SHA256";
    const AES256: &str = "ECDHE-ECDSA-AES256-GCM-SHA384";
    assert!(tls12(AES128) && tls12(AES256));
    let suite = "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]";
    guard.replace("web.yml", tls_with(suite));
    guard.wait_generation(2);
    assert!(tls12(AES128) && !tls12(AES256));
    guard.replace("web.yml", tls_with("min_version: TLS13\ncipher_suites: []"));
    guard.wait_generation(3);
    assert!(!tls12(AES128) && !tls12(AES256));
    assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200);
}

#[test]
fn tls_is_turned_on_for_new_connections() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(with_password("1")).tls(&tls).start();
    let mut before = guard.connect();
    assert_eq!(before.get_as(("scraper", "1"), "/metrics").status, 200);
    guard.replace("web.yml", format!("{TLS}{}", with_password("1")));
    guard.wait_generation(2);
    assert_eq!(guard.connect().get("/metrics").status, 400);
    let mut client = TlsClient::new().trust(&tls.ca).connect(guard.port());
    assert_eq!(client.get_as(("scraper", "1"), "/metrics").status, 200);
    // The connection pinned its TLS, or the want of it, when it was accepted.
    assert_eq!(before.get_as(("scraper", "1"), "/metrics").status, 200);
}

/// Where certificates take the place of passwords, a connection from before has shown neither.
#[test]
fn a_connection_from_before_client_certificates_needs_a_new_handshake() {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let builder = GuardBuilder::new().guarded(&tls).upstream(&exporter);
    let guard = builder.file("clients.crt", ca.pem()).start();
    let connect = || TlsClient::new().connect(guard.port());
    let mut anonymous = connect();
    let mut idle = connect();
    let mut http2 = Http2::connect(guard.port());
    assert_eq!(anonymous.get("/metrics").status, 401);
    assert!(!http2.get("/metrics", &[]).ok);
    guard.replace("web.yml", format!("{TLS}{VERIFIED_CLIENTS}"));
    guard.wait_generation(2);
    for client in [&mut anonymous, &mut idle] {
        assert_eq!(client.get("/metrics").status, 421);
        client.wait_close();
    }
    assert!(!http2.get("/metrics", &[]).ok);
    let known = ca.issue(&Leaf::client());
    let mut known = TlsClient::new().identity(&known).connect(guard.port());
    assert_eq!(known.get("/metrics").status, 200);
    assert_eq!(exporter.requests().len(), 1);
}

#[test]
fn no_connection_is_dropped() {
    let exporter = Exporter::new();
    let tls = ServerTls::new();
    let users = scraper();
    let config = TLS.to_owned() + &users;
    let guard = GuardBuilder::new().config(config).tls(&tls).upstream(&exporter).start();
    let mut http1 = TlsClient::new().trust(&tls.ca).connect(guard.port());
    let http2 = TlsClient::new().trust(&tls.ca).alpn(tls::H2_AND_HTTP1).connect(guard.port());
    let mut http2 = Http2::begin(http2);
    let mut ask = || {
        assert_eq!(http1.get_as(SCRAPER, "/metrics").text(), PAGE);
        assert!(http2.get_as(SCRAPER, "/metrics").ok);
    };
    ask();
    let next = ServerTls::new();
    guard.replace("server.key", next.identity.key_pem());
    guard.replace("server.crt", next.identity.chain_pem());
    guard.wait_generation(2);
    ask();
    let http1_only = yaml(
        "
        http_server_config:
          http2: false
        ",
    );
    guard.replace("web.yml", tls_with("min_version: TLS13") + &users + &http1_only);
    guard.wait_generation(3);
    ask();
    assert_eq!(guard.certificate(), next.identity.cert.to_der().unwrap());
}

/// A response that is on its way when the configuration changes comes to its end.
#[test]
fn a_response_under_way_is_finished() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n";
    let (exporter, go) = Exporter::held(format!("{head}hello "), "world");
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().guarded(&tls).upstream(&exporter).start();
    let mut client = TlsClient::new().connect(guard.port());
    client.send(get("/metrics", &authorization(SCRAPER)));
    assert_eq!(client.head().status, 200);
    guard.replace("web.yml", format!("{TLS}{}", with_password("other")));
    guard.wait_generation(2);
    go.send(()).unwrap();
    assert_eq!(client.take(11).unwrap(), b"hello world");
}

#[test]
fn the_metrics_count_reloads_and_failures() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).telemetry().start();
    let reloads = |result: &str| {
        guard.metric(&format!("exporter_guard_config_reloads_total{{result=\"{result}\"}}"))
    };
    let successful = || guard.metric("exporter_guard_config_last_reload_successful");
    let generation = || guard.metric("exporter_guard_config_generation");
    assert_eq!((reloads("success"), reloads("failure")), (0.0, 0.0));
    assert_eq!((successful(), generation()), (1.0, 1.0));
    guard.replace("web.yml", tls_with("min_version: TLS13"));
    guard.wait_generation(2);
    assert_eq!((reloads("success"), reloads("failure")), (1.0, 0.0));
    assert_eq!((successful(), generation()), (1.0, 2.0));
    guard.replace("web.yml", "nonsense");
    guard.wait_failed_reload(1);
    assert_eq!((reloads("success"), reloads("failure")), (1.0, 1.0));
    assert_eq!((successful(), generation()), (0.0, 2.0));
    guard.replace("web.yml", tls_with("min_version: TLS12"));
    guard.wait_generation(3);
    assert_eq!((reloads("success"), reloads("failure")), (2.0, 1.0));
    assert_eq!((successful(), generation()), (1.0, 3.0));
}
