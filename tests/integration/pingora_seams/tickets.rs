//! A session of a client whose CA was removed is not resumed. Stock pingora's TLS listener keeps
//! its ticket keys and its session cache for as long as the process runs.
//!
//! A resumed session brings no certificate: the server believes what it verified when the session
//! began. So nothing that was verified under an old configuration may count under a new one.

use openssl::ssl::{SslSession, SslVersion};

use crate::support::*;

struct Site {
    guard: Guard,
    old_ca: Authority,
    new_ca: Authority,
    tls: ServerTls,
}

impl Site {
    fn new() -> Self {
        let tls = ServerTls::new();
        let (old_ca, new_ca) = (Authority::new("old"), Authority::new("new"));
        let builder = GuardBuilder::new().config(format!("{TLS}{VERIFIED_CLIENTS}")).tls(&tls);
        let guard = builder.file("clients.crt", old_ca.pem()).start();
        Self { guard, old_ca, new_ca, tls }
    }

    fn client(&self, version: SslVersion) -> TlsClient {
        TlsClient::new().identity(&self.old_ca.issue(&Leaf::client())).version(version)
    }

    /// A session that began with a certificate of the old CA.
    fn session(&self, client: &TlsClient) -> SslSession {
        assert_eq!(client.try_get(self.guard.port(), "").unwrap().status, 200);
        client.last_session().expect("a session")
    }

    /// Remove the old CA.
    fn reload(&self) {
        self.guard.replace("clients.crt", self.new_ca.pem());
        self.guard.wait_generation(2);
    }
}

/// Whether a client with this session gets in, with its certificate and without it.
#[track_caller]
fn assert_refused(site: &Site, client: &TlsClient, version: SslVersion, session: &SslSession) {
    for client in [client.clone(), TlsClient::new().version(version)] {
        let answer = client.resume(session.clone()).try_get(site.guard.port(), "");
        assert!(answer.is_err(), "{version:?}: {answer:?}");
    }
}

/// Without a reload the session is good: what is refused below is refused because of the reload.
#[test]
fn a_session_is_resumed_while_its_ca_is_in_force() {
    let site = Site::new();
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let session = site.session(&site.client(version));
        // The session is enough, without the certificate.
        let client = TlsClient::new().version(version).resume(session);
        let mut resumed = client.connect(site.guard.port());
        assert_eq!(resumed.get("/metrics").status, 200, "{version:?}");
        assert!(resumed.ssl().session_reused(), "{version:?}");
    }
}

#[test]
fn a_stale_ticket_of_tls12_is_refused_after_its_ca_was_removed() {
    let site = Site::new();
    let client = site.client(SslVersion::TLS1_2);
    let session = site.session(&client);
    site.reload();
    assert_refused(&site, &client, SslVersion::TLS1_2, &session);
}

#[test]
fn a_stale_ticket_of_tls13_is_refused_after_its_ca_was_removed() {
    let site = Site::new();
    let client = site.client(SslVersion::TLS1_3);
    let session = site.session(&client);
    site.reload();
    assert_refused(&site, &client, SslVersion::TLS1_3, &session);
}

/// Sessions by id live in the server's own cache.
#[test]
fn a_stale_session_id_is_refused_after_its_ca_was_removed() {
    let site = Site::new();
    let client = site.client(SslVersion::TLS1_2).without_tickets();
    assert_eq!(client.try_get(site.guard.port(), "").unwrap().status, 200);
    // That there is none is fine, too.
    let Some(session) = client.last_session() else { return };
    site.reload();
    assert_refused(&site, &client, SslVersion::TLS1_2, &session);
}

/// The same when the policy, and not the CA, became stricter.
#[test]
fn a_session_from_before_certificates_were_required_is_refused() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let tls = ServerTls::new();
        let ca = Authority::new("clients");
        let guard = GuardBuilder::new().config(TLS).tls(&tls).file("clients.crt", ca.pem()).start();
        let client = TlsClient::new().version(version);
        assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
        let session = client.last_session().expect("a session");
        guard.replace("web.yml", format!("{TLS}{VERIFIED_CLIENTS}"));
        guard.wait_generation(2);
        let answer = client.clone().resume(session).try_get(guard.port(), "");
        assert!(answer.is_err(), "{version:?}: {answer:?}");
    }
}

/// Nor does a session keep a name alive that is no longer allowed.
#[test]
fn a_session_of_a_name_that_was_removed_is_refused() {
    let tls = ServerTls::new();
    let ca = Authority::new("clients");
    let config = |name: &str| format!("{TLS}{VERIFIED_CLIENTS}  client_allowed_sans: [{name}]\n");
    let builder = GuardBuilder::new().config(config("a.example")).tls(&tls);
    let guard = builder.file("clients.crt", ca.pem()).start();
    let identity = ca.issue(&Leaf::client().sans(&[San::Dns("a.example")]));
    let sessions: Vec<(TlsClient, SslSession)> = [SslVersion::TLS1_2, SslVersion::TLS1_3]
        .map(|version| {
            let client = TlsClient::new().identity(&identity).version(version);
            assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
            let session = client.last_session().expect("a session");
            (client, session)
        })
        .into();
    guard.replace("web.yml", config("b.example"));
    guard.wait_generation(2);
    for (client, session) in sessions {
        assert!(client.resume(session).try_get(guard.port(), "").is_err());
    }
}

/// A session does not outlive the versions it was made under (the swap of a context in the
/// ClientHello callback ignored the new minimum).
#[test]
fn the_new_minimum_version_holds_for_old_sessions() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let client = TlsClient::new().version(SslVersion::TLS1_2);
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
    let session = client.last_session().expect("a session");
    guard.replace("web.yml", format!("{TLS}  min_version: TLS13\n"));
    guard.wait_generation(2);
    assert!(client.resume(session).try_get(guard.port(), "").is_err());
}

/// A client whose session is not taken falls back to a whole handshake and notices nothing.
#[test]
fn a_client_with_an_old_session_falls_back_to_a_whole_handshake() {
    let site = Site::new();
    let client = site.client(SslVersion::TLS1_3).trust(&site.tls.ca);
    let session = site.session(&client);
    let both = format!("{}{}", site.old_ca.pem(), site.new_ca.pem());
    site.guard.replace("clients.crt", both);
    site.guard.wait_generation(2);
    let answer = client.resume(session).try_get(site.guard.port(), "");
    assert_eq!(answer.unwrap().status, 200);
}

/// Guards do not share ticket keys: a session of one is nothing to another.
#[test]
fn a_session_of_another_guard_is_not_resumed() {
    let (here, there) = (Site::new(), Site::new());
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let session = there.session(&there.client(version));
        let client = TlsClient::new().version(version).resume(session);
        assert!(client.try_get(here.guard.port(), "").is_err(), "{version:?}");
    }
}

const SESSIONS: usize = 200;

/// Sessions of as many clients, by ticket and (TLS 1.2) by id, resumed without the certificate.
fn resumed(site: &Site, sessions: &[SslSession], version: SslVersion) -> usize {
    let admitted = sessions.iter().filter(|session| {
        let client = TlsClient::new().version(version).resume((*session).clone());
        client.try_get(site.guard.port(), "").is_ok_and(|response| response.status == 200)
    });
    admitted.count()
}

#[test]
fn of_two_hundred_sessions_all_resume_before_and_none_after() {
    let site = Site::new();
    for (version, number) in [(SslVersion::TLS1_2, 2), (SslVersion::TLS1_3, 3)] {
        site.guard.replace("clients.crt", site.old_ca.pem());
        if number == 3 {
            site.guard.wait_generation(3);
        }
        let client = site.client(version);
        let sessions: Vec<_> = (0..SESSIONS).map(|_| site.session(&client)).collect();
        assert_eq!(resumed(&site, &sessions, version), SESSIONS, "{version:?} before");
        site.guard.replace("clients.crt", site.new_ca.pem());
        site.guard.wait_generation(2 * (number - 1));
        assert_eq!(resumed(&site, &sessions, version), 0, "{version:?} after");
    }
}
