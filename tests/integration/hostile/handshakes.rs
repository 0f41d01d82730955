//! Clients without credentials that have the guard compute handshakes: one record, sent again and
//! again, costs them nothing and the guard a signature.

use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::support::load::Stop;
use crate::support::*;

/// What a client says first, up to now to another server.
fn client_hello() -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = std::thread::spawn(move || TlsClient::new().try_connect(port).map(drop));
    let (mut server, _) = listener.accept().unwrap();
    let mut record = vec![0; 5];
    server.read_exact(&mut record).unwrap();
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + length, 0);
    server.read_exact(&mut record[5..]).unwrap();
    drop(server);
    assert!(client.join().unwrap().is_err());
    record
}

/// One connection after the other from an address of its own: the answer is waited for and dropped.
fn replay(guard: &Guard, hello: &[u8], stop: &Stop, answered: &AtomicUsize) {
    while !stop.is_set() {
        let mut client = Client::plain_from([127, 0, 0, 2], guard.port());
        // Reset at its end: the ports of one address last a minute otherwise.
        SockRef::from(&client.socket()).set_linger(Some(Duration::ZERO)).unwrap();
        client.send(hello);
        if client.take(1).is_ok() {
            answered.fetch_add(1, Relaxed);
        }
    }
}

/// How long scrapes on fresh connections take, sorted, while so many replay.
fn scrape_beside(attackers: usize, key: KeyKind, length: Duration) -> Vec<Duration> {
    let exporter = Exporter::new();
    let tls = ServerTls::with_key(key);
    let guard = GuardBuilder::new().guarded(&tls).upstream(&exporter).start();
    let scrape = || {
        let begun = Instant::now();
        let mut client = TlsClient::new().connect(guard.port());
        assert_eq!(client.get_as(SCRAPER, "/metrics").status, 200, "a scrape missed");
        begun.elapsed()
    };
    scrape();
    let (hello, answered) = (client_hello(), AtomicUsize::new(0));
    let attack = |_number, stop: &Stop| replay(&guard, &hello, stop, &answered);
    let mut times = load::beside(attackers, attack, || {
        let (begun, mut times) = (Instant::now(), Vec::new());
        while begun.elapsed() < length {
            times.push(scrape());
            // The pace of the scraper.
            std::thread::sleep(Duration::from_millis(20));
        }
        times
    });
    times.sort();
    let answered = answered.load(Relaxed);
    println!(
        "{} scrapes, median {:.1?}, longest {:.1?}; {answered} replays answered",
        times.len(),
        times[times.len() / 2],
        times[times.len() - 1],
    );
    assert!(answered > 0, "no replay was answered");
    times
}

#[test]
fn scrapes_are_answered_during_replayed_handshakes() {
    scrape_beside(50, KeyKind::Ecdsa, Duration::from_secs(1));
}

/// As many as may connect from one address, almost, and keys with which a signature is expensive.
#[test]
#[ignore = "takes a minute"]
fn a_flood_of_handshakes_from_one_address_does_not_delay_others() {
    for key in [KeyKind::Ecdsa, KeyKind::Rsa] {
        let times = scrape_beside(500, key, Duration::from_secs(20));
        assert!(times[times.len() - 1] < Duration::from_secs(1), "{:?}", times[times.len() - 1]);
    }
}
