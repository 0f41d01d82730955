//! Handshakes that are wrong in every way a scanner or fuzzer tries: each ends at once, with the
//! alert that RFC 8446 or RFC 5246 wants, and does not affect other connections.

use openssl::ssl::SslVersion;

use crate::support::process::Process;
use crate::support::*;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

// Alerts (RFC 8446 section 6, RFC 5246 section 7.2, RFC 7507).
const UNEXPECTED_MESSAGE: u8 = 10;
const RECORD_OVERFLOW: u8 = 22;
const HANDSHAKE_FAILURE: u8 = 40;
const ILLEGAL_PARAMETER: u8 = 47;
const DECODE_ERROR: u8 = 50;
const PROTOCOL_VERSION: u8 = 70;
const INAPPROPRIATE_FALLBACK: u8 = 86;
const MISSING_EXTENSION: u8 = 109;
const UNRECOGNIZED_NAME: u8 = 112;
const NO_APPLICATION_PROTOCOL: u8 = 120;

const TLS12: u16 = 0x0303;
const TLS13: u16 = 0x0304;

const AES128_GCM_TLS13: u16 = 0x1301;
const ECDHE_ECDSA_AES128_GCM: u16 = 0xc02b;
const ECDHE_RSA_AES128_GCM: u16 = 0xc02f;
const RSA_AES128_GCM: u16 = 0x009c;
const RSA_RC4_SHA: u16 = 0x0005;
const FALLBACK_SCSV: u16 = 0x5600;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;

/// The certificate's own curve: TLS 1.2 wants it in the list.
const P256: u16 = 23;
const X25519: u16 = 29;
/// ffdhe2048, which a server with elliptic curves only does not have.
const FFDHE2048: u16 = 256;

const ECDSA_SHA256: u16 = 0x0403;
const RSA_PSS_SHA256: u16 = 0x0804;
const RSA_SHA1: u16 = 0x0201;
const ECDSA_SHA1: u16 = 0x0203;

/// A ClientHello, part by part (RFC 8446 section 4.1.2).
#[derive(Clone)]
struct Hello {
    version: u16,
    session_id: Vec<u8>,
    ciphers: Vec<u8>,
    compression: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
    /// After the last extension, within the message.
    rest: Vec<u8>,
}

fn words(values: &[u16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}

/// With a length of one or two bytes before it.
fn vec8(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn vec16(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn key_share(group: u16, key: &[u8]) -> Vec<u8> {
    vec16(&[group.to_be_bytes().to_vec(), vec16(key)].concat())
}

impl Hello {
    fn tls12() -> Self {
        Self {
            version: TLS12,
            session_id: vec![7; 32],
            ciphers: words(&[ECDHE_ECDSA_AES128_GCM, ECDHE_RSA_AES128_GCM]),
            compression: vec![0],
            extensions: vec![
                (SUPPORTED_GROUPS, vec16(&words(&[X25519, P256]))),
                (SIGNATURE_ALGORITHMS, vec16(&words(&[ECDSA_SHA256, RSA_PSS_SHA256]))),
            ],
            rest: Vec::new(),
        }
    }

    fn tls13() -> Self {
        let hello = Self::tls12();
        let hello = hello.with(SUPPORTED_VERSIONS, vec8(&words(&[TLS13])));
        // Any string but a few is a point of this curve.
        let hello = hello.with(KEY_SHARE, key_share(X25519, &[9; 32]));
        hello.ciphers(&[AES128_GCM_TLS13])
    }

    fn with(mut self, kind: u16, content: Vec<u8>) -> Self {
        self = self.without(kind);
        self.extensions.push((kind, content));
        self
    }

    fn without(mut self, kind: u16) -> Self {
        self.extensions.retain(|(existing, _)| *existing != kind);
        self
    }

    fn ciphers(mut self, ciphers: &[u16]) -> Self {
        self.ciphers = words(ciphers);
        self
    }

    fn version(mut self, version: u16) -> Self {
        self.version = version;
        self
    }

    fn message(&self) -> Vec<u8> {
        let extensions: Vec<u8> = self
            .extensions
            .iter()
            .flat_map(|(kind, content)| [kind.to_be_bytes().to_vec(), vec16(content)].concat())
            .collect();
        let body = [
            &self.version.to_be_bytes()[..],
            &[5; 32],
            &vec8(&self.session_id),
            &vec16(&self.ciphers),
            &vec8(&self.compression),
            &vec16(&extensions),
            &self.rest,
        ]
        .concat();
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[CLIENT_HELLO], &length[1..], &body].concat()
    }

    fn record(&self) -> Vec<u8> {
        record(HANDSHAKE, &self.message())
    }
}

fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 1][..], &vec16(content)].concat()
}

/// What must come of it.
#[derive(Debug)]
enum Outcome {
    /// The handshake goes on: odd, but allowed.
    GoesOn,
    /// One of these alerts.
    Alert(&'static [u8]),
    /// No handshake; what is no TLS needs no alert.
    Refused,
}

use Outcome::{Alert, GoesOn, Refused};

fn rows() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let (old, new) = (Hello::tls12, Hello::tls13);
    let fragments: Vec<u8> =
        new().message().chunks(1).flat_map(|byte| record(HANDSHAKE, byte)).collect();
    let sslv2 = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80\x02\x00\x80";
    let duplicate = {
        let mut hello = new();
        hello.extensions.push((SUPPORTED_GROUPS, vec16(&words(&[X25519]))));
        hello
    };
    let sni = |name: &[u8]| vec16(&[&[0][..], &vec16(name)].concat());
    vec![
        ("TLS 1.2 as it should be", old().record(), GoesOn),
        ("TLS 1.3 as it should be", new().record(), GoesOn),
        ("a hello in records of one byte", fragments, GoesOn),
        (
            "a version from the future, without the extension",
            old().version(0x0309).record(),
            GoesOn,
        ),
        ("an unknown extension", new().with(0xfafa, vec![1, 2, 3]).record(), GoesOn),
        (
            "an unknown cipher suite before a known one",
            new().ciphers(&[0xfafa, AES128_GCM_TLS13]).record(),
            GoesOn,
        ),
        (
            "a protocol that the guard does not have (RFC 7301)",
            new().with(ALPN, vec16(&vec8(b"ftp"))).record(),
            Alert(&[NO_APPLICATION_PROTOCOL]),
        ),
        ("SSL 2", sslv2.to_vec(), Refused),
        ("SSL 3", old().version(0x0300).record(), Alert(&[PROTOCOL_VERSION, HANDSHAKE_FAILURE])),
        ("TLS 1.0", old().version(0x0301).record(), Alert(&[PROTOCOL_VERSION])),
        ("TLS 1.1", old().version(0x0302).record(), Alert(&[PROTOCOL_VERSION])),
        (
            "only a draft of TLS 1.3",
            new().with(SUPPORTED_VERSIONS, vec8(&words(&[0x7f1c]))).record(),
            Alert(&[PROTOCOL_VERSION]),
        ),
        (
            "a fallback that is none (RFC 7507)",
            old().ciphers(&[ECDHE_ECDSA_AES128_GCM, ECDHE_RSA_AES128_GCM, FALLBACK_SCSV]).record(),
            Alert(&[INAPPROPRIATE_FALLBACK]),
        ),
        ("RC4", old().ciphers(&[RSA_RC4_SHA]).record(), Alert(&[HANDSHAKE_FAILURE])),
        (
            "RSA key exchange (Bleichenbacher, ROBOT)",
            old().ciphers(&[RSA_AES128_GCM]).record(),
            Alert(&[HANDSHAKE_FAILURE]),
        ),
        (
            "no cipher suite",
            old().ciphers(&[]).record(),
            Alert(&[ILLEGAL_PARAMETER, DECODE_ERROR, HANDSHAKE_FAILURE]),
        ),
        (
            "half a cipher suite",
            Hello { ciphers: vec![0xc0], ..old() }.record(),
            Alert(&[DECODE_ERROR, ILLEGAL_PARAMETER]),
        ),
        (
            "no compression method",
            Hello { compression: vec![], ..old() }.record(),
            Alert(&[DECODE_ERROR, ILLEGAL_PARAMETER]),
        ),
        (
            "only deflate (CRIME)",
            Hello { compression: vec![1], ..old() }.record(),
            Alert(&[ILLEGAL_PARAMETER, DECODE_ERROR]),
        ),
        (
            "a session id that is too long",
            Hello { session_id: vec![7; 33], ..old() }.record(),
            Alert(&[DECODE_ERROR, ILLEGAL_PARAMETER]),
        ),
        ("the same extension twice", duplicate.record(), Alert(&[ILLEGAL_PARAMETER, DECODE_ERROR])),
        (
            "bytes after the extensions",
            Hello { rest: vec![0; 3], ..new() }.record(),
            Alert(&[DECODE_ERROR]),
        ),
        (
            "no group in common",
            new()
                .with(SUPPORTED_GROUPS, vec16(&words(&[FFDHE2048])))
                .with(KEY_SHARE, key_share(FFDHE2048, &[2; 256]))
                .record(),
            Alert(&[HANDSHAKE_FAILURE, ILLEGAL_PARAMETER]),
        ),
        (
            "a key share of the wrong length",
            new().with(KEY_SHARE, key_share(X25519, &[9; 31])).record(),
            Alert(&[ILLEGAL_PARAMETER, DECODE_ERROR]),
        ),
        (
            "a key share that is no secret",
            new().with(KEY_SHARE, key_share(X25519, &[0; 32])).record(),
            Alert(&[ILLEGAL_PARAMETER, 80]),
        ),
        (
            "no signature algorithms",
            new().without(SIGNATURE_ALGORITHMS).record(),
            Alert(&[MISSING_EXTENSION, HANDSHAKE_FAILURE]),
        ),
        (
            "SHA-1 signatures only",
            new().with(SIGNATURE_ALGORITHMS, vec16(&words(&[RSA_SHA1, ECDSA_SHA1]))).record(),
            Alert(&[HANDSHAKE_FAILURE]),
        ),
        (
            "an empty list of protocols",
            new().with(ALPN, vec16(b"")).record(),
            Alert(&[DECODE_ERROR]),
        ),
        (
            "a protocol without a name",
            new().with(ALPN, vec16(&vec8(b""))).record(),
            Alert(&[DECODE_ERROR]),
        ),
        (
            "a list of names without a name",
            new().with(SERVER_NAME, vec16(b"")).record(),
            Alert(&[DECODE_ERROR]),
        ),
        (
            "a name with NUL in it",
            new().with(SERVER_NAME, sni(b"a\0b")).record(),
            Alert(&[DECODE_ERROR, UNRECOGNIZED_NAME]),
        ),
        (
            "an extension that is longer than the hello",
            record(HANDSHAKE, &{
                let mut m = new().message();
                let at = m.len() - 37;
                m[at] = 0xff;
                m
            }),
            Alert(&[DECODE_ERROR]),
        ),
        ("an empty record", record(HANDSHAKE, b""), Refused),
        (
            "a record that is too long",
            [&[HANDSHAKE, 3, 1, 0x48, 1][..], &[1; 18433]].concat(),
            Alert(&[RECORD_OVERFLOW]),
        ),
        (
            "a hello of 16 MB",
            record(HANDSHAKE, &[CLIENT_HELLO, 0xff, 0xff, 0xff, 3, 3]),
            Alert(&[ILLEGAL_PARAMETER, DECODE_ERROR, 22]),
        ),
        (
            "Finished first",
            record(HANDSHAKE, &[20, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Alert(&[UNEXPECTED_MESSAGE]),
        ),
        ("data first", record(APPLICATION_DATA, b"GET / HTTP/1.1\r\n\r\n"), Refused),
        ("ChangeCipherSpec first", record(20, &[1]), Refused),
        ("a heartbeat first (Heartbleed)", record(24, b"\x01\x40\x00"), Refused),
        ("a record of no known type", record(99, b"x"), Refused),
        ("close_notify first", record(ALERT, &[1, 0]), Refused),
    ]
}

/// The first record that comes back; `None` for a connection that is closed without one.
fn answer(client: &mut Client) -> Option<(u8, Vec<u8>)> {
    let head = client.take(5).ok()?;
    let length = u16::from_be_bytes([head[3], head[4]]);
    Some((head[0], client.take(usize::from(length)).ok()?))
}

fn check(guard: &Guard, name: &str, bytes: &[u8], expected: &Outcome) -> Result<(), String> {
    let mut client = guard.connect();
    client.send(bytes);
    if !matches!(expected, GoesOn) {
        client.finish_sending();
    }
    let answer = answer(&mut client);
    let as_expected = match (expected, &answer) {
        (GoesOn, Some((HANDSHAKE, message))) => message.first() == Some(&SERVER_HELLO),
        (Alert(alerts), Some((ALERT, alert))) => {
            alert.len() == 2 && alert[0] == 2 && alerts.contains(&alert[1])
        }
        (Refused, None | Some((ALERT, _))) => true,
        _ => false,
    };
    if as_expected { Ok(()) } else { Err(format!("{name}: {answer:?} instead of {expected:?}")) }
}

#[test]
fn every_wrong_hello_ends_with_its_alert() {
    let rows = rows();
    assert!(rows.len() >= 40, "{}", rows.len());
    for tls in [ServerTls::new(), ServerTls::with_key(KeyKind::Rsa)] {
        let config = format!("{TLS}{}", limits("handshake_timeout: 5s"));
        let guard = GuardBuilder::new().config(config).tls(&tls).start();
        let mut wrong = Vec::new();
        for (name, bytes, expected) in &rows {
            wrong.extend(check(&guard, name, bytes, expected).err());
            assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200, "{name}");
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// `openssl s_client` on a connection to the guard, to type commands to.
fn s_client(guard: &Guard, version: &str) -> Process {
    let mut client = process::command("openssl");
    client.args(["s_client", version, "-connect", &format!("127.0.0.1:{}", guard.port())]);
    Process::spawn_interactive(client, guard.dir())
}

#[test]
fn a_renegotiation_ends_the_connection() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let mut client = s_client(&guard, "-tls1_2");
    client.type_in("R\n");
    client.wait_exit();
    let said = client.describe();
    assert!(said.contains("RENEGOTIATING"), "{said}");
    assert!(said.contains("no renegotiation"), "{said}");
    assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200);
}

/// Each makes the server derive keys; they are no request, and the time for one runs out.
#[test]
fn key_updates_do_not_keep_a_connection_open() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", limits("header_timeout: 1s"));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let mut client = s_client(&guard, "-tls1_3");
    let is_update = |line: &str| line.contains("KEYUPDATE");
    let mut typed = 0;
    eventually("the connection ends", || {
        // The program takes what it reads at a time for one command.
        if client.count_stderr(is_update) == typed {
            client.type_in("K\n");
            typed += 1;
        }
        client.exited().is_some()
    });
    client.wait_exit();
    assert!(client.count_stderr(is_update) > 1, "{}", client.describe());
    assert_eq!(TlsClient::new().try_get(guard.port(), "").unwrap().status, 200);
}

/// What was recorded could be replayed (RFC 8446 section 8).
#[test]
fn early_data_is_not_taken() {
    let tls = ServerTls::new();
    let guard = GuardBuilder::new().config(TLS).tls(&tls).start();
    let client = TlsClient::new().version(SslVersion::TLS1_3);
    assert_eq!(client.try_get(guard.port(), "").unwrap().status, 200);
    let session = client.last_session().expect("a session");
    assert_eq!(session.max_early_data(), 0);
}
