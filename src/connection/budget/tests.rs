use super::*;

const LIMIT: usize = 1000;

fn network(number: u64) -> ClientNetwork {
    ClientNetwork::V6(number)
}

fn assert_empty(budget: &MemoryBudget) {
    let accounts = budget.accounts.lock();
    assert_eq!((accounts.reserved, accounts.shared), (0, 0));
    assert!(accounts.networks.is_empty() && accounts.identities.is_empty());
}

#[test]
fn a_network_has_a_quarter_and_gets_back_what_it_gives_back() {
    let budget = Arc::<MemoryBudget>::default();
    let (one, two) = (budget.reserve(network(1), LIMIT), budget.reserve(network(1), LIMIT));
    let mut first = one.charge(200).expect("within the share");
    assert!(two.charge(51).is_none() && !two.is_exhausted());
    first.shrink_to(199);
    let second = two.charge(51).expect("the rest of the share");
    assert!(!first.grow_to(200) && first.grow_to(100), "no more, and no less");
    drop((first, second, one));
    assert!(two.charge(250).is_some());
    drop(two);
    assert_empty(&budget);
}

#[test]
fn an_identity_has_half_from_all_its_addresses() {
    let budget = Arc::<MemoryBudget>::default();
    let identified = |number| {
        let reservation = budget.reserve(network(number), LIMIT);
        let charge = reservation.charge(1).expect("a byte");
        reservation.identify(&"scraper");
        (reservation, charge)
    };
    let mut all: Vec<_> = (1..=3).map(identified).collect();
    assert!(all[0].1.grow_to(250) && all[1].1.grow_to(249));
    assert!(!all[2].1.grow_to(2), "of the three, the two have 499");
    let other = budget.reserve(network(3), LIMIT);
    assert!(other.charge(100).is_some(), "of nobody");
    all.clear();
    drop(other);
    assert_empty(&budget);
}

#[test]
fn the_newest_of_the_greediest_make_room() {
    let budget = Arc::<MemoryBudget>::default();
    let take = |number, bytes| {
        let reservation = budget.reserve(network(number), LIMIT);
        let charge = reservation.charge(bytes).expect("room");
        (reservation, charge)
    };
    let old = take(1, 150);
    let new = take(1, 100);
    let others = [take(2, 240), take(3, 240), take(4, 240)];
    let (late, charge) = take(5, 100);
    assert!(new.0.is_exhausted() && !old.0.is_exhausted());
    assert!(others.iter().all(|(other, _)| !other.is_exhausted()));
    let waker = Context::from_waker(Waker::noop());
    assert!(new.0.poll_revoked(&waker).is_ready() && old.0.poll_revoked(&waker).is_pending());
    assert!(new.0.charge(1).is_none(), "revoked");
    let greedy = budget.reserve(network(2), LIMIT);
    assert!(greedy.charge(9).is_some());
    assert!(budget.reserve(network(6), LIMIT).charge(245).is_none(), "it would have most");
    drop((old, new, others, late, charge, greedy));
    assert_empty(&budget);
}

#[test]
fn shared_answers_have_half() {
    let budget = Arc::<MemoryBudget>::default();
    let mut shared = budget.reserve_shared(LIMIT);
    assert!(shared.grow(500) && !shared.grow(1) && !shared.grow(usize::MAX));
    drop(shared);
    assert!(budget.reserve_shared(LIMIT).grow(500));
    assert_empty(&budget);
}

#[test]
fn a_connection_is_exhausted_by_what_waits_on_its_socket() {
    let budget = Arc::<MemoryBudget>::default();
    let reservation = budget.reserve(network(1), LIMIT);
    let context = Context::from_waker(Waker::noop());
    let mut charge = reservation.empty_charge();
    assert!(charge.keep_waiting(250, &context) && !reservation.is_exhausted());
    assert!(!charge.keep_waiting(251, &context) && reservation.is_exhausted());
}
