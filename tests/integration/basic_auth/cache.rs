//! A password that was right is remembered, and only that.

use std::time::Duration;

use crate::support::guard::hash;
use crate::support::procfs::cpu_time;
use crate::support::*;

/// CPU time the guard spends on `work`: what is measured is the work, however busy the machine.
fn cost(guard: &Guard, work: impl FnOnce()) -> Duration {
    let before = cpu_time(guard.id());
    work();
    cpu_time(guard.id()) - before
}

#[test]
fn the_second_request_costs_no_bcrypt() {
    let config = users(&[("scraper", &hash("secret", 12))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    let mut login = || assert_eq!(client.get_as(("scraper", "secret"), "/metrics").status, 200);
    let first = cost(&guard, &mut login);
    let again = cost(&guard, || (0..10).for_each(|_| login())) / 10;
    // A debug build; the benches have the real figures.
    assert!(first > again * 10, "first {first:?}, again {again:?}");
}

#[test]
fn a_remembered_password_serves_every_connection() {
    let tls = ServerTls::new();
    let config = format!("{TLS}{}", users(&[("scraper", &hash("secret", 12))]));
    let guard = GuardBuilder::new().config(config).tls(&tls).start();
    let login = |client: &mut Client| {
        assert_eq!(client.get_as(("scraper", "secret"), "/metrics").status, 200);
    };
    let first = cost(&guard, || login(&mut TlsClient::new().connect(guard.port())));
    let other = cost(&guard, || login(&mut TlsClient::new().connect(guard.port())));
    assert!(first > other * 3, "first {first:?}, on another connection {other:?}");
}

/// Scrapes must not all pay again because the file was touched.
#[test]
fn a_reload_keeps_what_is_remembered_of_unchanged_users() {
    let hash = hash("secret", 12);
    let guard = GuardBuilder::new().config(users(&[("scraper", &hash)])).start();
    let mut client = guard.connect();
    let mut login = || assert_eq!(client.get_as(("scraper", "secret"), "/metrics").status, 200);
    let first = cost(&guard, &mut login);
    guard.replace("web.yml", users(&[("scraper", &hash), ("other", &quick_hash("x"))]));
    guard.wait_generation(2);
    let after = cost(&guard, &mut login);
    assert!(first > after * 3, "first {first:?}, after a reload {after:?}");
}

#[test]
fn failures_are_never_remembered_as_successes() {
    let guard = GuardBuilder::new().config(scraper()).start();
    let mut client = guard.connect();
    let mut status = |password| client.get_as(("scraper", password), "/metrics").status;
    for _ in 0..3 {
        assert_eq!(status("wrong"), 401);
        assert_eq!(status("wrong"), 401);
        assert_eq!(status(SCRAPER.1), 200);
        assert_eq!(status("wrong"), 401);
        assert_eq!(status(""), 401);
    }
}

#[test]
fn failures_cannot_evict_a_success() {
    const COST: u32 = 8;
    // More than the toolkit's cache of 100 entries holds.
    const FAILURES: usize = 150;
    let config = users(&[("scraper", &hash("secret", COST)), ("other", &hash("other", COST))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    let first = cost(&guard, || {
        assert_eq!(client.get_as(("scraper", "secret"), "/metrics").status, 200);
    });
    for i in 0..FAILURES {
        let (user, password) = (["scraper", "other", "nobody"][i % 3], format!("wrong {i}"));
        assert_eq!(client.get_as((user, &password), "/metrics").status, 401);
    }
    let again = cost(&guard, || {
        for _ in 0..10 {
            assert_eq!(client.get_as(("scraper", "secret"), "/metrics").status, 200);
        }
    });
    assert!(again < first * 5, "first {first:?}, ten times after the failures {again:?}");
}

/// CVE-2022-46146: the exporter-toolkit's cache key was user, hash and password run together, and
/// an unknown user was checked against a hash whose password is known. Who knew a user's hash
/// could make an entry that let them in as that user.
#[test]
fn cve_2022_46146_a_crafted_user_name_does_not_poison_the_cache() {
    const DUMMY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";
    const DUMMY_PASSWORD: &str = "fakepassword";
    let hash = quick_hash("secret");
    let guard = GuardBuilder::new().config(users(&[("scraper", &hash)])).start();
    let mut client = guard.connect();
    let crafted = format!("scraper{hash}");
    let poisoned = format!("{DUMMY}{DUMMY_PASSWORD}");
    for _ in 0..2 {
        assert_eq!(client.get_as((&crafted, DUMMY_PASSWORD), "/metrics").status, 401);
        assert_eq!(client.get_as(("scraper", &poisoned), "/metrics").status, 401);
    }
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(client.get_as(("scraper", &hex(&poisoned)), "/metrics").status, 401);
    assert_eq!(client.get_as(("scraper", &hash), "/metrics").status, 401, "a hash is no password");
}

/// The same weakness by users who are all known: the parts of a key must not run into each other.
#[test]
fn cve_2022_46146_neighbouring_names_do_not_share_entries() {
    let hash = quick_hash("bc");
    let config = users(&[("a", &hash), ("ab", &hash), ("abc", &quick_hash("x"))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    assert_eq!(client.get_as(("a", "bc"), "/metrics").status, 200);
    assert_eq!(client.get_as(("ab", "c"), "/metrics").status, 401);
    assert_eq!(client.get_as(("abc", ""), "/metrics").status, 401);
    assert_eq!(client.get_as(("ab", "bc"), "/metrics").status, 200);
    assert_eq!(client.get_as(("", "abc"), "/metrics").status, 401);
}
