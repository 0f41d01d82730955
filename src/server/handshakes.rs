//! TLS handshakes, on threads of their own and by turns: every address has one after the other, so that
//! those who connect by the hundred wait for each other and for nobody else.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use async_task::{FallibleTask, Runnable};
use tokio::runtime::Handle;

use crate::process::threads::half_the_cores;
use crate::source::Source;

/// The handshakes that have something to compute.
#[derive(Default)]
pub struct Handshakes {
    ready: Mutex<Ready>,
    more: Condvar,
}

#[derive(Default)]
struct Ready {
    by_source: HashMap<Source, VecDeque<Runnable>>,
    /// Whose turn is next; each that has something is here once.
    turns: VecDeque<Source>,
    stopped: bool,
}

impl Handshakes {
    /// Start the threads, each of which calls `enter` first. Sockets and timers are those of `runtime`.
    pub fn start(
        runtime: &Handle,
        enter: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let handshakes = Arc::new(Self::default());
        for index in 0..half_the_cores() {
            let (handshakes, enter) = (Arc::clone(&handshakes), enter.clone());
            let runtime = runtime.clone();
            thread::Builder::new().name(format!("handshake-{index}")).spawn(move || {
                enter();
                let _context = runtime.enter();
                while let Some(handshake) = handshakes.next() {
                    handshake.run();
                }
            })?;
        }
        Ok(handshakes)
    }

    /// Run `handshake` there. It ends with its caller, and panics in it. `None`: stopped.
    pub fn run<F>(self: &Arc<Self>, source: Source, handshake: F) -> FallibleTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let queue = Arc::clone(self);
        let schedule = move |ready| queue.push(source, ready);
        let builder = async_task::Builder::new().propagate_panic(true);
        let (ready, task) = builder.spawn(|()| handshake, schedule);
        ready.schedule();
        task.fallible()
    }

    /// Nothing is computed any more.
    pub fn stop(&self) {
        let ready = {
            let mut ready = self.lock();
            ready.stopped = true;
            std::mem::take(&mut ready.by_source)
        };
        self.more.notify_all();
        // Not under the lock, which what is dropped may want.
        drop(ready);
    }

    fn push(&self, source: Source, handshake: Runnable) {
        let mut ready = self.lock();
        if ready.stopped {
            drop(ready);
            return drop(handshake);
        }
        ready.push(source, handshake);
        drop(ready);
        self.more.notify_one();
    }

    /// `None`: stopped.
    fn next(&self) -> Option<Runnable> {
        let mut ready = self.lock();
        loop {
            if ready.stopped {
                return None;
            }
            if let Some(handshake) = ready.next() {
                return Some(handshake);
            }
            ready = self.more.wait(ready).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    fn push(&mut self, source: Source, handshake: Runnable) {
        let of_source = self.by_source.entry(source).or_default();
        if of_source.is_empty() {
            self.turns.push_back(source);
        }
        of_source.push_back(handshake);
    }

    fn next(&mut self) -> Option<Runnable> {
        let source = self.turns.pop_front()?;
        let of_source = self.by_source.get_mut(&source)?;
        let handshake = of_source.pop_front();
        if of_source.is_empty() {
            self.by_source.remove(&source);
        } else {
            self.turns.push_back(source);
        }
        handshake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The many are there first.
    #[test]
    fn one_of_another_source_is_not_behind_a_hundred() {
        let handshakes = Arc::new(Handshakes::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let run = |source| {
            let order = Arc::clone(&order);
            handshakes
                .run(Source::V6(source), async move { order.lock().expect("order").push(source) })
        };
        let mut tasks: Vec<_> = (0..100).map(|_| run(1)).collect();
        tasks.extend([run(2), run(2), run(3)]);
        for _ in 0..tasks.len() {
            handshakes.next().expect("one that is ready").run();
        }
        let order = order.lock().expect("order");
        assert_eq!(order[..6], [1, 2, 3, 1, 2, 1]);
        assert_eq!(order.len(), 103);
        let ready = handshakes.lock();
        assert!(ready.by_source.is_empty() && ready.turns.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_is_dropped() {
        let handshakes = Arc::new(Handshakes::default());
        let alive = Arc::new(());
        let held = |alive: &Arc<()>| {
            let held = Arc::clone(alive);
            handshakes.run(Source::Local, async move { drop(held) })
        };
        drop(held(&alive));
        handshakes.next().expect("one to drop").run();
        assert_eq!(Arc::strong_count(&alive), 1);
        let waiting = held(&alive);
        handshakes.stop();
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(handshakes.next().is_none());
        drop(waiting);
        let late = held(&alive);
        assert_eq!(Arc::strong_count(&alive), 1, "after the end");
        drop(late);
    }

    #[tokio::test]
    async fn they_run_on_threads_that_entered() {
        let (entered, names) = std::sync::mpsc::channel();
        let enter =
            move || entered.send(thread::current().name().map(str::to_owned)).expect("sent");
        let handshakes = Handshakes::start(&Handle::current(), enter).expect("threads");
        let on = handshakes.run(Source::Local, async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            thread::current().name().map(str::to_owned)
        });
        let on = on.await.flatten();
        assert_eq!(names.recv().expect("a name"), Some("handshake-0".to_owned()));
        assert!(on.is_some_and(|name| name.starts_with("handshake-")));
        handshakes.stop();
    }
}
