//! `proxy.certificates`: which certificate a client gets, by the name that it asks for.

use openssl::ssl::SslVersion;

use crate::support::*;

/// Names, certificates and what the guard is to be started with.
struct Site {
    own: ServerTls,
    ca: Authority,
}

impl Site {
    fn new() -> Self {
        Self { own: ServerTls::new(), ca: Authority::new("others") }
    }

    fn issue(&self, names: &[&'static str]) -> Identity {
        let sans: Vec<San> = names.iter().map(|name| San::Dns(name)).collect();
        self.ca.issue(&Leaf::server().sans(&sans))
    }

    fn builder(&self, others: &[&Identity]) -> GuardBuilder {
        let mut config = TLS.to_owned()
            + &scraper()
            + &yaml(
                "
                proxy:
                  certificates:
                ",
            );
        let mut builder = GuardBuilder::new().tls(&self.own);
        for (index, other) in others.iter().enumerate() {
            config.push_str(&format!("  - {{cert_file: {index}.crt, key_file: {index}.key}}\n"));
            builder = builder.pair(&index.to_string(), other);
        }
        builder.config(config)
    }
}

fn fingerprint(certificate: &openssl::x509::X509Ref) -> Vec<u8> {
    certificate.digest(openssl::hash::MessageDigest::sha256()).unwrap().to_vec()
}

/// Of what a client gets that asks for this name.
fn shown(guard: &Guard, name: Option<&str>) -> Vec<u8> {
    let mut builder = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
    builder.set_verify(openssl::ssl::SslVerifyMode::NONE);
    let mut configuration = builder.build().configure().unwrap();
    configuration.set_verify_hostname(false);
    configuration.set_use_server_name_indication(name.is_some());
    let socket = wire::tcp(guard.port()).unwrap();
    let stream = configuration.connect(name.unwrap_or("unused"), socket).unwrap();
    fingerprint(&stream.ssl().peer_certificate().unwrap())
}

#[test]
fn each_name_has_its_certificate() {
    let site = Site::new();
    let [one, wild] = [site.issue(&["one.example", "uno.example"]), site.issue(&["*.example"])];
    let guard = site.builder(&[&one, &wild]).start();
    let [own, one, wild] = [&site.own.identity, &one, &wild].map(|it| fingerprint(&it.cert));
    for (name, expected) in [
        (None, &own),
        (Some("localhost"), &own),
        (Some("one.example"), &one),
        (Some("UNO.example"), &one),
        (Some("two.example"), &wild),
        (Some("a.two.example"), &own),
        (Some("elsewhere.test"), &own),
    ] {
        assert_eq!(&shown(&guard, name), expected, "{name:?}");
    }
}

/// The certificate is all that differs.
#[test]
fn client_certificates_are_demanded_whatever_the_name() {
    let site = Site::new();
    let one = site.issue(&["one.example"]);
    let clients = Authority::new("clients");
    let builder = site.builder(&[&one]).file("ca.crt", clients.pem());
    let config = std::fs::read_to_string(builder.path("web.yml")).expect("the file");
    let demand = tls_with(
        "
        client_ca_file: ca.crt
        client_auth_type: RequireAndVerifyClientCert
        ",
    );
    let guard = builder.config(config.replacen(TLS, &demand, 1)).start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        for name in ["one.example", "localhost"] {
            let ask = |client: TlsClient| {
                let more = authorization(SCRAPER);
                client.version(version).server_name(name).try_get(guard.port(), &more)
            };
            let with = |ca: &Authority| ask(TlsClient::new().identity(&ca.issue(&Leaf::client())));
            let answer = with(&clients).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(answer.status, 200, "{name}");
            assert!(with(&Authority::new("others")).is_err(), "{name}");
            assert!(ask(TlsClient::new()).is_err(), "{name}");
        }
    }
}

#[test]
fn suites_and_protocols_are_those_of_the_file_whatever_the_name() {
    let site = Site::new();
    let one = site.issue(&["one.example"]);
    let guard = site.builder(&[&one]).start();
    for name in ["one.example", "localhost"] {
        let client = TlsClient::new().server_name(name);
        let old = client.clone().version(SslVersion::TLS1_2).ciphers("ECDHE-ECDSA-AES128-SHA");
        assert!(old.try_connect(guard.port()).is_err(), "{name}");
        let new =
            client.clone().version(SslVersion::TLS1_2).ciphers("ECDHE-ECDSA-AES128-GCM-SHA256");
        assert!(new.try_connect(guard.port()).is_ok(), "{name}");
        let chosen = client.clone().alpn(tls::H2_AND_HTTP1).connect(guard.port());
        assert_eq!(chosen.ssl().selected_alpn_protocol(), Some(&b"h2"[..]), "{name}");
        assert!(client.alpn(b"\x03ftp").try_connect(guard.port()).is_err(), "{name}");
    }
}

#[test]
fn a_certificate_for_a_name_is_renewed_alone() {
    let site = Site::new();
    let first = site.issue(&["one.example"]);
    let guard = site.builder(&[&first]).start();
    assert_eq!(shown(&guard, Some("one.example")), fingerprint(&first.cert));
    let next = site.issue(&["one.example"]);
    guard.replace("0.key", next.key_pem());
    guard.replace("0.crt", next.chain_pem());
    guard.wait_generation(2);
    assert_eq!(shown(&guard, Some("one.example")), fingerprint(&next.cert));
    assert_eq!(shown(&guard, None), fingerprint(&site.own.identity.cert));
}

#[test]
fn a_certificate_that_no_name_selects_is_refused() {
    let site = Site::new();
    let nameless = site.ca.issue(&Leaf::client().sans(&[]));
    let failed = site.builder(&[&nameless]).fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("no DNS name"), "{failed}");
    let [one, two] = [site.issue(&["one.example"]), site.issue(&["two.example"])];
    let builder = site.builder(&[&one]).file("0.key", two.key_pem());
    let failed = builder.fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("web.yml:8: error: proxy.certificates.key_file"), "{failed}");
    let plain = proxy("certificates: [{cert_file: a, key_file: b}]");
    let failed = GuardBuilder::new().config(plain).fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("there is no TLS"), "{failed}");
}
