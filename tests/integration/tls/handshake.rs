//! Sessions are resumed, and renegotiation and early data are not to be had.

use openssl::ssl::SslVersion;

use crate::support::*;

#[test]
fn sessions_are_resumed() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let client = TlsClient::new().version(version);
        let mut first = client.connect(guard.port());
        assert_eq!(first.get("/metrics").status, 200);
        assert!(!first.ssl().session_reused());
        let session = client.last_session().expect("a session");
        let mut again = client.clone().resume(session).connect(guard.port());
        assert!(again.ssl().session_reused(), "{version:?}");
        assert_eq!(again.get("/metrics").status, 200);
    }
}

/// A replayed scrape is harmless, a replayed POST is not.
#[test]
fn no_early_data_is_offered() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let client = TlsClient::new().version(SslVersion::TLS1_3);
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
    assert_eq!(client.last_session().expect("a session").max_early_data(), 0);
}

/// CVE-2021-3449 and the renegotiation floods before it.
#[test]
fn a_client_cannot_renegotiate() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let address = format!("127.0.0.1:{}", guard.port());
    let mut openssl = process::command("openssl");
    openssl.args(["s_client", "-tls1_2", "-connect", &address]);
    // `R` asks for a renegotiation.
    let finished = process::Finished::run(&mut openssl, guard.dir(), b"R\n");
    let said = format!("{}{}", finished.stdout, finished.stderr);
    assert!(said.contains("RENEGOTIATING"), "{finished}");
    let refused = ["no renegotiation", "unexpected message", "handshake failure", "closed"];
    assert!(refused.iter().any(|words| said.contains(words)), "{finished}");
    assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200);
}
