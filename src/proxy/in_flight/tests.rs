use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::config::ClientNetwork;

/// Longer than any test runs.
const LONG: Duration = Duration::from_secs(600);

type Admission<'a> = Pin<Box<dyn Future<Output = Option<Slot>> + 'a>>;

#[derive(Default)]
struct Site {
    table: Arc<InFlight>,
    metrics: Metrics,
}

impl Site {
    fn admit(&self, requester: u64, max: usize, max_wait: Duration) -> Admission<'_> {
        let requester = Requester::Network(ClientNetwork::V6(requester));
        Box::pin(self.table.admit("a", requester, (max, max_wait), &self.metrics))
    }

    /// Begins as many requests as the requester may have in flight, and leaves one waiting.
    fn fill(&self, requester: u64, max: usize) -> (Vec<Slot>, Admission<'_>) {
        let mut slots = Vec::new();
        loop {
            let mut one = self.admit(requester, max, LONG);
            match poll(&mut one) {
                Poll::Ready(slot) => slots.extend(slot),
                Poll::Pending => return (slots, one),
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.table.0.lock().is_empty()
    }
}

fn poll(admission: &mut Admission<'_>) -> Poll<Option<Slot>> {
    admission.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

fn admitted(admission: &mut Admission<'_>) -> Option<Slot> {
    match poll(admission) {
        Poll::Ready(slot) => Some(slot.expect("neither full nor too late")),
        Poll::Pending => None,
    }
}

#[tokio::test]
async fn a_requester_with_many_requests_leaves_room_for_others() {
    let site = Site::default();
    let (first, _waiting) = site.fill(1, 30);
    let (second, _waiting) = site.fill(2, 30);
    assert_eq!((first.len(), second.len()), (20, 7));
    assert!(admitted(&mut site.admit(3, 30, LONG)).is_some(), "at once");
}

#[tokio::test]
async fn the_next_request_is_of_the_requester_with_the_fewest_in_flight() {
    let site = Site::default();
    let (mut ones, mut one) = site.fill(1, 3);
    let (mut twos, mut two) = site.fill(2, 3);
    let (mut three, mut later) = (site.admit(3, 3, LONG), site.admit(3, 3, LONG));
    assert_eq!((ones.len(), twos.len()), (2, 1));
    assert!(admitted(&mut three).is_none() && admitted(&mut later).is_none());
    drop(ones.pop());
    let three = admitted(&mut three).expect("it has none");
    assert!(admitted(&mut one).is_none() && admitted(&mut two).is_none());
    drop(three);
    let later = admitted(&mut later).expect("it has none again");
    drop(twos.pop());
    let two = admitted(&mut two).expect("it has none any more");
    assert!(admitted(&mut one).is_none(), "it has one");
    drop(later);
    assert!(admitted(&mut one).is_some());
    drop((ones, twos, two));
    assert!(site.is_idle());
}

#[tokio::test]
async fn a_request_waits_no_longer_than_it_may() {
    let site = Site::default();
    let (slots, waiting) = site.fill(1, 2);
    assert!(site.admit(2, 2, Duration::from_millis(10)).await.is_none());
    drop(waiting);
    drop(slots);
    assert!(site.is_idle());
}

#[tokio::test]
async fn a_full_queue_has_room_for_another_requester() {
    let site = Site::default();
    let (_slots, first) = site.fill(1, 1);
    let mut waiting = vec![first];
    let refused = loop {
        let mut one = site.admit(1, 1, LONG);
        match poll(&mut one) {
            Poll::Pending => waiting.push(one),
            Poll::Ready(refused) => break refused,
        }
    };
    assert!(refused.is_none());
    assert_eq!(waiting.len(), MAX_WAITING * 2 / 3 + 1);
    assert!(poll(&mut site.admit(2, 1, LONG)).is_pending());
}

/// A client that leaves while it waits, or just when it is admitted.
#[tokio::test]
async fn a_request_that_is_given_up_leaves_nothing_behind() {
    let site = Site::default();
    let (slots, first) = site.fill(1, 1);
    let mut gone = site.admit(2, 1, LONG);
    let mut next = site.admit(3, 1, LONG);
    assert!(poll(&mut gone).is_pending() && poll(&mut next).is_pending());
    drop(first);
    drop(slots);
    // Admitted, but not asked again.
    drop(gone);
    let next = admitted(&mut next);
    assert!(next.is_some());
    drop(next);
    assert!(site.is_idle());
}

#[tokio::test]
async fn a_raised_limit_admits_requests_that_wait() {
    let site = Site::default();
    let (_slots, mut waiting) = site.fill(1, 1);
    assert!(poll(&mut waiting).is_pending());
    assert!(admitted(&mut site.admit(2, 30, LONG)).is_some());
    assert!(admitted(&mut waiting).is_some());
}

#[tokio::test]
async fn routes_do_not_share_a_limit() {
    let site = Site::default();
    let (_slots, _waiting) = site.fill(1, 1);
    let requester = Requester::Network(ClientNetwork::V6(1));
    let other = site.table.admit("b", requester, (1, LONG), &site.metrics);
    assert!(other.await.is_some());
}
