//! Certificates and keys: every kind, from files and inline, the chain as it stands.

use openssl::x509::X509;

use crate::support::certificates::pem;
use crate::support::*;

/// A key of the section of TLS with a block scalar.
fn inline(key: &str, pem: &str) -> String {
    format!("  {key}: |\n") + &indented(4, pem)
}

#[track_caller]
fn assert_serves(guard: &Guard, ca: &Authority) {
    let client = TlsClient::new().trust(ca);
    let response = client.try_get(guard.port(), "").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(response.status, 200);
}

#[test]
fn every_kind_of_key_in_every_format_serves() {
    let ca = Authority::new("server CA");
    for kind in [KeyKind::Ecdsa, KeyKind::Rsa, KeyKind::Ed25519] {
        let identity = ca.issue(&Leaf::server().key(kind));
        let mut keys = vec![identity.key_pem()];
        if kind != KeyKind::Ed25519 {
            keys.push(identity.traditional_key_pem());
        }
        for key in keys {
            let builder = GuardBuilder::new().config(TLS).file("server.key", &key);
            let guard = builder.file("server.crt", identity.chain_pem()).start();
            assert_serves(&guard, &ca);
        }
    }
}

/// What `openssl ecparam -genkey` writes, and what certbot and humans add.
#[test]
fn text_around_the_pem_blocks_is_skipped() {
    let tls = ServerTls::new();
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let key = format!("{parameters}{}", tls.identity.traditional_key_pem());
    let cert = format!("Subject: CN = localhost\n{}\ntrailing words\n", tls.identity.chain_pem());
    let builder = GuardBuilder::new().config(TLS).file("server.key", key);
    assert_serves(&builder.file("server.crt", cert).start(), &tls.ca);
}

#[test]
fn a_key_and_a_certificate_in_one_file_are_served() {
    let tls = ServerTls::new();
    let both = format!("{}{}", tls.identity.key_pem(), tls.identity.chain_pem());
    let config = yaml(
        "
        tls_server_config:
          cert_file: both.pem
          key_file: both.pem
        ",
    );
    let guard = GuardBuilder::new().config(config).file("both.pem", both).start();
    assert_serves(&guard, &tls.ca);
}

#[test]
fn inline_certificates_and_keys_are_served() {
    let tls = ServerTls::new();
    let clients = Authority::new("client CA");
    let config = [
        "tls_server_config:\n",
        &inline("cert", &tls.identity.chain_pem()),
        &inline("key", &tls.identity.key_pem()),
        &inline("client_ca", &clients.pem()),
        "  client_auth_type: RequireAndVerifyClientCert\n",
    ]
    .concat();
    let guard = GuardBuilder::new().config(config).start();
    assert!(TlsClient::new().try_get(guard.port(), "").is_err());
    let client = TlsClient::new().trust(&tls.ca).identity(&clients.issue(&Leaf::client()));
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
}

#[test]
fn the_file_wins_over_the_inline_text() {
    let (file, text) = (ServerTls::new(), ServerTls::new());
    let config = format!(
        "{TLS}{}{}",
        inline("cert", &text.identity.chain_pem()),
        inline("key", &text.identity.key_pem()),
    );
    let guard = GuardBuilder::new().config(config).tls(&file).start();
    assert_serves(&guard, &file.ca);
}

/// Wherever the process runs.
#[test]
fn relative_paths_are_relative_to_the_configuration() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new()
        .file(
            "etc/web.yml",
            yaml(
                "
                tls_server_config:
                  cert_file: tls/c.pem
                  key_file: ../k.pem
                ",
            ),
        )
        .file("etc/tls/c.pem", tls.identity.chain_pem())
        .file("k.pem", tls.identity.key_pem())
        .config_path("etc/web.yml")
        .start();
    assert_serves(&guard, &tls.ca);
}

#[test]
fn the_chain_is_sent_in_the_order_of_the_file() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle");
    let low = middle.intermediate("low");
    let identity = low.issue(&Leaf::server());
    let sent = |chain: &[&X509]| {
        let file: String = chain.iter().map(|cert| pem(cert)).collect();
        let builder = GuardBuilder::new().config(TLS).file("server.key", identity.key_pem());
        let guard = builder.file("server.crt", file).start();
        let client = TlsClient::new().connect(guard.port());
        let sent = client.ssl().peer_cert_chain().expect("a chain").iter();
        let sent: Vec<Vec<u8>> = sent.map(|cert| cert.to_der().unwrap()).collect();
        let wanted: Vec<Vec<u8>> = chain.iter().map(|cert| cert.to_der().unwrap()).collect();
        assert!(sent == wanted, "{} certificates for {}", sent.len(), wanted.len());
        guard
    };
    let guard = sent(&[&identity.cert, &low.cert, &middle.cert]);
    assert_serves(&guard, &root);
    sent(&[&identity.cert, &low.cert, &middle.cert, &root.cert]);
    sent(&[&identity.cert, &root.cert, &middle.cert, &low.cert]);
    sent(&[&identity.cert]);
}

/// The client CA's certificates are for verification, not for the server's own chain.
#[test]
fn the_chain_is_not_filled_up_from_the_client_cas() {
    let root = Authority::new("root");
    let middle = root.intermediate("middle");
    let identity = middle.issue(&Leaf::server());
    let config = tls_with(
        "
        client_auth_type: VerifyClientCertIfGiven
        client_ca_file: clients.crt
        ",
    );
    let guard = GuardBuilder::new()
        .config(config)
        .file("server.crt", pem(&identity.cert))
        .file("server.key", identity.key_pem())
        .file("clients.crt", format!("{}{}", pem(&middle.cert), root.pem()))
        .start();
    let client = TlsClient::new().connect(guard.port());
    assert_eq!(client.ssl().peer_cert_chain().expect("a chain").len(), 1);
}

#[test]
fn material_that_cannot_work_stops_the_start() {
    let (tls, other) = (ServerTls::new(), ServerTls::new());
    let (cert, key) = (tls.identity.chain_pem(), tls.identity.key_pem());
    let encrypted = tls
        .identity
        .key
        .private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"secret")
        .unwrap();
    let encrypted = String::from_utf8(encrypted).unwrap();
    for (what, cert, key, names) in [
        ("another key", cert.as_str(), other.identity.key_pem().as_str(), "key"),
        ("an empty certificate", "", &key, "cert_file"),
        ("no certificate in it", &key, &key, "cert_file"),
        ("no key in it", &cert, &cert, "key_file"),
        ("an empty key", &cert, "", "key_file"),
        ("an encrypted key", &cert, &encrypted, "key_file"),
        ("half a certificate", &cert[..cert.len() / 2], &key, "cert_file"),
        ("half a key", &cert, &key[..key.len() / 2], "key_file"),
        ("nonsense", "nonsense", &key, "cert_file"),
    ] {
        let builder = GuardBuilder::new().config(TLS).file("server.crt", cert);
        let failed = builder.file("server.key", key).fail_to_start();
        assert_eq!(failed.code, Some(1), "{what}: {failed}");
        assert!(failed.stderr.contains("web.yml:"), "{what}: {failed}");
        assert!(failed.stderr.contains(names), "{what}: {failed}");
        let secret = key.lines().nth(1).unwrap_or("-----");
        assert!(secret.len() < 20 || !failed.stderr.contains(secret), "{what}: {failed}");
    }
}

#[test]
fn material_that_is_not_there_stops_the_start() {
    let tls = ServerTls::new();
    for (config, message) in [
        (
            yaml(
                "
                tls_server_config:
                  cert_file: server.crt
                ",
            ),
            "key",
        ),
        (
            yaml(
                "
                tls_server_config:
                  key_file: server.key
                ",
            ),
            "cert",
        ),
        (
            yaml(
                "
                tls_server_config:
                  client_auth_type: RequireAnyClientCert
                ",
            ),
            "cert",
        ),
        (
            yaml(
                "
                tls_server_config:
                  cert_file: absent.crt
                  key_file: server.key
                ",
            ),
            "absent.crt",
        ),
        (
            yaml(
                "
                tls_server_config:
                  cert_file: server.crt
                  key_file: absent.key
                ",
            ),
            "absent.key",
        ),
    ] {
        let failed = GuardBuilder::new().config(&config).tls(&tls).fail_to_start();
        assert_eq!(failed.code, Some(1), "{config}: {failed}");
        assert!(failed.stderr.contains("web.yml") && failed.stderr.contains(message), "{failed}");
    }
}

/// openssl's own client as the judge.
#[test]
fn openssl_verifies_the_server() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let verified = process::command("openssl")
        .args(["s_client", "-verify_return_error", "-brief", "-CAfile"])
        .arg(guard.path("ca.crt"))
        .args(["-verify_ip", "127.0.0.1", "-connect", &format!("127.0.0.1:{}", guard.port())])
        .stdin(std::process::Stdio::null())
        .output()
        .expect("openssl");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.contains("Verification: OK"), "{said}");
}
