//! The time that an answer takes does not tell which users exist.

use std::time::Duration;

use crate::support::guard::hash;
use crate::support::procfs::cpu_time;
use crate::support::*;

const LOW: u32 = 6;
const HIGH: u32 = 10;
const ROUNDS: usize = 7;

/// CPU time of one refusal, the median of several: wall time would measure the other tests.
fn refusal(guard: &Guard, client: &mut Client, user: &str) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|round| {
            let before = cpu_time(guard.id());
            let password = format!("wrong {round}");
            assert_eq!(client.get_as((user, &password), "/metrics").status, 401);
            cpu_time(guard.id()) - before
        })
        .collect();
    times.sort();
    times[ROUNDS / 2]
}

#[track_caller]
fn assert_alike(times: &[(&str, Duration)]) {
    for (name, time) in times {
        for (other, base) in times {
            let ratio = time.as_secs_f64() / base.as_secs_f64();
            assert!((0.5..=2.0).contains(&ratio), "{name} to {other} is {ratio:.2}: {times:?}");
        }
    }
}

/// The toolkit's fixed cost-10 dummy hash gives users away: at cost 12, 352 ms against 95 ms.
#[test]
fn unknown_and_known_users_take_the_same_time_at_mixed_costs() {
    let config = users(&[("low", &hash("a", LOW)), ("high", &hash("b", HIGH))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    let mut time = |user| refusal(&guard, &mut client, user);
    assert_alike(&[("low", time("low")), ("high", time("high")), ("unknown", time("unknown"))]);
}

#[test]
fn unknown_and_known_users_take_the_same_time_at_a_low_cost() {
    let config = users(&[("known", &hash("a", 8))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    let mut time = |user| refusal(&guard, &mut client, user);
    assert_alike(&[("known", time("known")), ("unknown", time("unknown"))]);
}

/// Someone whose password is remembered takes as long to be refused as someone whose is not.
#[test]
fn a_remembered_user_is_refused_no_faster() {
    let config = users(&[("here", &hash("a", 8)), ("away", &hash("b", 8))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    assert_eq!(client.get_as(("here", "a"), "/metrics").status, 200);
    let mut time = |user| refusal(&guard, &mut client, user);
    assert_alike(&[("here", time("here")), ("away", time("away"))]);
}

/// bcrypt runs beside, not on, the threads that serve: a right password that is remembered does
/// not wait for wrong ones.
#[test]
fn wrong_passwords_do_not_hold_up_others() {
    const CLIENTS: usize = 8;
    let config = users(&[("scraper", &hash("secret", HIGH))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut scraper = guard.connect();
    assert_eq!(scraper.get_as(("scraper", "secret"), "/metrics").status, 200);
    let mut flood: Vec<Client> = (0..CLIENTS).map(|_| guard.connect()).collect();
    for client in &mut flood {
        let wrong = basic("scraper", "wrong");
        client.send(get("/metrics", &format!("Authorization: {wrong}\r\n")).repeat(4));
    }
    // Answered while the flood still has most of its work ahead.
    let before = cpu_time(guard.id());
    for _ in 0..5 {
        assert_eq!(scraper.get_as(("scraper", "secret"), "/metrics").status, 200);
    }
    let spent = cpu_time(guard.id()) - before;
    for client in &mut flood {
        for _ in 0..4 {
            assert_eq!(client.response().status, 401);
        }
    }
    let all = cpu_time(guard.id()) - before;
    assert!(spent < all / 2, "five scrapes came after {spent:?} of {all:?} of work");
}

/// Users with hashes of costs 5, 10 and 12, and one that does not exist: medians within a tenth of
/// each other. CPU time of the thread that checks passwords, which nothing else uses.
#[test]
#[ignore = "takes minutes"]
fn no_user_can_be_told_from_another() {
    const ROUNDS: usize = 41;
    let config =
        users(&[("five", &hash("a", 5)), ("ten", &hash("b", 10)), ("twelve", &hash("c", 12))]);
    let guard = GuardBuilder::new().config(config).start();
    let mut client = guard.connect();
    let names = ["five", "ten", "twelve", "nobody"];
    let mut times: [Vec<Duration>; 4] = Default::default();
    for round in 0..ROUNDS {
        // In turn, so that a machine that slows down slows all of them down.
        for (user, times) in names.iter().zip(&mut times) {
            let before = cpu_time(guard.id());
            let password = format!("wrong {round}");
            assert_eq!(client.get_as((user, &password), "/metrics").status, 401);
            times.push(cpu_time(guard.id()) - before);
        }
    }
    let medians = times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2].as_secs_f64()
    });
    for (name, median) in names.iter().zip(medians) {
        let ratio = median / medians[0];
        println!("{name}: {:.1} ms, {ratio:.3} of five", median * 1e3);
        assert!((0.9..=1.1).contains(&ratio), "{name}: {ratio:.3}");
    }
}
