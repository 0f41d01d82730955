//! Certificate revocation lists: a certificate that its CA has withdrawn admits nobody, in a handshake,
//! by a session or on an open connection.

use std::time::{Duration, SystemTime};

use openssl::ssl::SslVersion;
use openssl::x509::X509;

use crate::support::http2::Http2;
use crate::support::tls::H2_AND_HTTP1;
use crate::support::*;

const DAY: i64 = 24 * 60 * 60;

fn policy(lists: &str) -> String {
    format!("{TLS}{VERIFIED_CLIENTS}  client_crl_file: {lists}\n")
}

/// A guard whose clients are of this CA.
fn guard(lists: &str, clients: &Authority, files: &[(&str, Vec<u8>)]) -> Guard {
    let builder = GuardBuilder::new().config(policy(lists)).tls(&ServerTls::new());
    let builder = builder.file("clients.crt", clients.pem()).telemetry();
    files.iter().fold(builder, |builder, (name, content)| builder.file(name, content)).start()
}

fn pem(list: &openssl::x509::X509Crl) -> Vec<u8> {
    list.to_pem().unwrap()
}

fn is_served(guard: &Guard, identity: &Identity) -> bool {
    let versions = [SslVersion::TLS1_2, SslVersion::TLS1_3];
    let served = versions.map(|version| {
        let client = TlsClient::new().version(version).identity(identity);
        client.try_get(guard.port(), "").is_ok_and(|response| response.status == 200)
    });
    assert_eq!(served[0], served[1], "TLS 1.2 and 1.3");
    served[0]
}

#[test]
fn a_revoked_certificate_is_refused_and_others_are_not() {
    let clients = Authority::new("clients");
    let [good, revoked] = [(); 2].map(|()| clients.issue(&Leaf::client()));
    let list = clients.revocation_list(&[&revoked.cert], DAY);
    let forms = [("list.pem", pem(&list)), ("list.der", list.to_der().unwrap())];
    for (name, content) in forms {
        let guard = guard(name, &clients, &[(name, content)]);
        assert!(is_served(&guard, &good), "{name}");
        assert!(!is_served(&guard, &revoked), "{name}");
        let line = guard.wait_log("the reason", |line| line.contains("certificate revoked"));
        assert!(line.contains("level="), "{line}");
        let next_update = guard.metric(
            "exporter_guard_revocation_list_next_update_timestamp_seconds\
             {use=\"client_ca\",issuer=\"CN=clients\"}",
        );
        assert!(next_update > 0.0);
    }
}

#[test]
fn several_lists_count_and_an_inline_one() {
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let [good, revoked] = [&clients, &others].map(|ca| ca.issue(&Leaf::client()));
    let both = clients.pem() + &others.pem();
    let files = [
        ("a.crl", pem(&clients.revocation_list(&[], DAY))),
        ("b.crl", pem(&others.revocation_list(&[&revoked.cert], DAY))),
        ("clients.crt", both.into_bytes()),
        (
            "both.crl",
            [0, 1]
                .map(|i| [&clients, &others][i])
                .iter()
                .flat_map(|ca| {
                    let revoked: &[&X509] =
                        if ca.pem() == others.pem() { &[&revoked.cert] } else { &[] };
                    pem(&ca.revocation_list(revoked, DAY))
                })
                .collect(),
        ),
    ];
    for lists in ["[a.crl, b.crl]", "both.crl"] {
        let guard = guard(lists, &clients, &files);
        assert!(is_served(&guard, &good), "{lists}");
        assert!(!is_served(&guard, &revoked), "{lists}");
    }
    let inline = String::from_utf8(files[0].1.clone()).unwrap();
    let config = format!("{TLS}{VERIFIED_CLIENTS}  client_crl: |\n{}", indented(4, &inline));
    let builder = GuardBuilder::new().config(config).tls(&ServerTls::new());
    let guard = builder.file("clients.crt", clients.pem()).start();
    assert!(is_served(&guard, &good));
}

#[test]
fn what_a_certificate_has_opened_ends_when_it_is_revoked() {
    let clients = Authority::new("clients");
    let [good, revoked] = [(); 2].map(|()| clients.issue(&Leaf::client()));
    let list = |revoked: &[&X509]| pem(&clients.revocation_list(revoked, DAY));
    let guard = guard("list.crl", &clients, &[("list.crl", list(&[]))]);
    let client = TlsClient::new().identity(&revoked);
    let (mut http1, mut other) =
        (client.connect(guard.port()), { TlsClient::new().identity(&good).connect(guard.port()) });
    assert_eq!([http1.get("/metrics").status, other.get("/metrics").status], [200, 200]);
    let session = client.last_session().expect("a session");
    let mut http2 = Http2::begin(client.alpn(H2_AND_HTTP1).connect(guard.port()));
    assert!(http2.get("/metrics", &[]).ok);
    guard.replace("list.crl", list(&[&revoked.cert]));
    guard.wait_generation(2);
    assert_eq!(other.get("/metrics").status, 200);
    assert_eq!(http1.get("/metrics").status, 421);
    http1.wait_close();
    assert!(!http2.get("/metrics", &[]).ok);
    http2.into_client().wait_close();
    let resumed = TlsClient::new().resume(session).try_get(guard.port(), "");
    assert!(resumed.is_err(), "{resumed:?}");
}

#[test]
fn a_list_that_expires_fails_closed() {
    const LIFETIME: i64 = 4;
    let clients = Authority::new("clients");
    let identity = clients.issue(&Leaf::client());
    let begun = SystemTime::now();
    let list = |next_update| pem(&clients.revocation_list(&[], next_update));
    let guard = guard("list.crl", &clients, &[("list.crl", list(LIFETIME))]);
    let client = TlsClient::new().identity(&identity);
    let mut open = client.connect(guard.port());
    assert_eq!(open.get("/metrics").status, 200);
    let session = client.last_session().expect("a session");
    let end = begun + Duration::from_secs(LIFETIME as u64 + 1);
    eventually("the list has expired", || SystemTime::now() > end);
    assert_eq!(open.get("/metrics").status, 421);
    assert!(!is_served(&guard, &identity));
    guard.wait_log("the reason", |line| line.contains("CRL has expired"));
    let resumed = TlsClient::new().resume(session).try_get(guard.port(), "");
    assert!(!resumed.is_ok_and(|response| response.status == 200));
    guard.replace("list.crl", list(DAY));
    guard.wait_generation(2);
    assert!(is_served(&guard, &identity), "with a new list");
}

#[test]
fn a_ca_without_a_list_and_an_intermediate_are_judged_strictly() {
    let root = Authority::new("root");
    let between = root.intermediate("between");
    let identity = between.issue(&Leaf::client());
    let of_root = pem(&root.revocation_list(&[], DAY));
    let of_between = pem(&between.revocation_list(&[], DAY));
    let both = [of_root.clone(), of_between.clone()].concat();
    let cas = (root.pem() + &between.pem()).into_bytes();
    let list = |content: &[u8], cas: &[u8]| {
        guard("l.crl", &root, &[("l.crl", content.to_vec()), ("clients.crt", cas.to_vec())])
    };
    assert!(is_served(&list(&both, &cas), &identity));
    assert!(!is_served(&list(&of_root, &cas), &identity), "no list of the one between");
    assert!(!is_served(&list(&of_between, &cas), &identity), "no list of the root");
    let withdrawn =
        [pem(&root.revocation_list(&[&between.cert], DAY)), of_between.clone()].concat();
    assert!(!is_served(&list(&withdrawn, &cas), &identity), "the one between is revoked");
    // Trusted by itself: who issued it is nobody's concern.
    assert!(is_served(&list(&of_between, between.pem().as_bytes()), &identity));
    let revoked = pem(&between.revocation_list(&[&identity.cert], DAY));
    assert!(!is_served(&list(&revoked, between.pem().as_bytes()), &identity));
}

#[test]
fn check_says_what_is_wrong_with_a_list() {
    let (clients, others) = (Authority::new("clients"), Authority::new("others"));
    let tls = ServerTls::new();
    let list = |ca: &Authority, next_update| pem(&ca.revocation_list(&[], next_update));
    for (what, content, code, message) in [
        ("good", list(&clients, 3 * DAY), 0, ""),
        (
            "nearly over",
            list(&clients, 60),
            0,
            "warning: tls_server_config.client_crl_file: l.crl: the list of clients expires soon",
        ),
        (
            "expired",
            list(&clients, -60),
            0,
            "warning: tls_server_config.client_crl_file: l.crl: the list of clients expired on",
        ),
        ("of another CA", list(&others, DAY), 1, "the list is of others, which is none of the CAs"),
        ("nothing", b"nothing".to_vec(), 1, "no revocation list in it, PEM or DER"),
        ("a certificate", clients.pem().into_bytes(), 1, "no PEM revocation list in it"),
        (
            "a broken one",
            b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n".to_vec(),
            1,
            "list 1 in it cannot be parsed",
        ),
    ] {
        let builder = GuardBuilder::new().config(policy("l.crl")).tls(&tls).file("l.crl", content);
        let builder = builder.file("clients.crt", clients.pem());
        let finished = guard::run(builder.dir(), &["check", "web.yml"]);
        assert_eq!(finished.code, Some(code), "{what}: {finished}");
        assert!(finished.stdout.contains(message), "{what}: {finished}");
        assert_eq!(
            finished.stdout.contains("the list"),
            message.contains("the list"),
            "{what}: {finished}"
        );
    }
    let builder = GuardBuilder::new().config(policy("absent.crl")).tls(&tls);
    let builder = builder.file("clients.crt", clients.pem());
    let failed = builder.fail_to_start().expect_code(1);
    assert!(failed.stderr.contains("cannot read absent.crl"), "{failed}");
}

#[test]
fn lists_are_given_up_in_words() {
    let clients = Authority::new("clients");
    let list = pem(&clients.revocation_list(&[], DAY));
    let guard = guard("list.crl", &clients, &[("list.crl", list)]);
    guard.replace("web.yml", format!("{TLS}{VERIFIED_CLIENTS}"));
    let line = guard.wait_failed_reload(1);
    assert!(line.contains("client certificates that were revoked"), "{line}");
    guard.replace("web.yml", policy("[]"));
    guard.wait_generation(2);
}
