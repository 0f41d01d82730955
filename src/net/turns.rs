//! Whose handshake is next: every source has its own turns, so that those who connect by the hundred
//! wait for each other and for nobody else.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, ready};

use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;

use super::deadline::Deadline;

/// `future`, which gets on only while it has one of the `turns`: it keeps none while it waits for its
/// peer. `None`: the deadline has passed, and what is there to do is not done.
pub async fn in_turns<F: Future>(
    turns: Arc<Semaphore>,
    deadline: &Deadline,
    future: F,
) -> Option<F::Output> {
    let mut turns = PollSemaphore::new(turns);
    let mut future = pin!(future);
    let (mut turn, mut queued) = (None, false);
    poll_fn(|cx| {
        if turn.is_none() {
            let queued = std::mem::replace(&mut queued, true);
            // Nobody closes it.
            turn = ready!(turns.poll_acquire(cx));
            // Whoever is ready to run goes first once, so that all of this source come to know that
            // they have to wait, and what is next is of another.
            if !queued {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if deadline.is_over() {
            return Poll::Ready(None);
        }
        let polled = future.as_mut().poll(cx).map(Some);
        (turn, queued) = (None, false);
        polled
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio::runtime::Builder;
    use tokio::task::JoinSet;

    use super::*;

    /// One thread, as on a small machine; the many are there first.
    #[test]
    fn one_of_another_source_is_not_behind_a_hundred() {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let order = Arc::new(Mutex::new(Vec::new()));
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            let many = Arc::new(Semaphore::new(1));
            let sources = (0..100).map(|_| ("many", Arc::clone(&many)));
            for (name, turns) in sources.chain([("one", Arc::new(Semaphore::new(1)))]) {
                let order = Arc::clone(&order);
                tasks.spawn(async move {
                    let work = async { order.lock().expect("no panic").push(name) };
                    in_turns(turns, &Deadline::new(), work).await
                });
            }
            assert!(tasks.join_all().await.iter().all(Option::is_some));
        });
        let order = order.lock().expect("no panic");
        let place = order.iter().position(|name| *name == "one").expect("its turn");
        assert!(order.len() == 101 && place < 5, "{place}");
    }

    #[tokio::test]
    async fn nothing_is_done_after_the_deadline() {
        let deadline = Deadline::new();
        deadline.arm(Duration::ZERO);
        tokio::time::sleep(Duration::from_millis(5)).await;
        let turns = Arc::new(Semaphore::new(1));
        let done = in_turns(Arc::clone(&turns), &deadline, async { panic!("too late") }).await;
        assert_eq!(done, None::<()>);
        assert_eq!(turns.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_waits_for_its_peer_keeps_no_turn() {
        let turns = Arc::new(Semaphore::new(1));
        let never = Deadline::new();
        let waits = in_turns(Arc::clone(&turns), &never, std::future::pending::<()>());
        let other = in_turns(Arc::clone(&turns), &never, async {});
        tokio::select! {
            biased;
            _ = waits => unreachable!("it never ends"),
            done = other => assert_eq!(done, Some(())),
        }
    }
}
