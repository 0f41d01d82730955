//! Threads that compute TLS handshakes, round robin over client networks.
//!
//! A handshake keeps a core busy for most of a millisecond. On threads of their own, below those that
//! serve requests, the handshakes of strangers delay no open connection; taken in turn, one handshake
//! of each network after the other, a network that connects by the hundred delays only itself.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;

use async_task::{FallibleTask, Runnable};
use parking_lot::{Condvar, Mutex};
use tokio::runtime::Handle;

use crate::config::ClientNetwork;
use crate::os::priorities::half_the_cores;

/// The threads and the queue of handshakes that can make progress.
#[derive(Default)]
pub struct HandshakePool {
    queue: Mutex<HandshakeQueue>,
    not_empty: Condvar,
}

#[derive(Default)]
struct HandshakeQueue {
    by_network: HashMap<ClientNetwork, VecDeque<Runnable>>,
    /// The networks that have a handshake waiting, each once, in the order in which they are served.
    round_robin: VecDeque<ClientNetwork>,
    stopped: bool,
}

impl HandshakePool {
    /// Starts half as many threads as there are cores; each calls `on_start` first. Sockets and timers
    /// of the handshakes belong to `runtime`.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system when it refuses a thread.
    pub fn start(
        runtime: &Handle,
        on_start: impl Fn() + Clone + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let pool = Arc::new(Self::default());
        for index in 0..half_the_cores() {
            let (pool, on_start) = (Arc::clone(&pool), on_start.clone());
            let runtime = runtime.clone();
            thread::Builder::new().name(format!("handshake-{index}")).spawn(move || {
                on_start();
                let _context = runtime.enter();
                while let Some(handshake) = pool.next() {
                    handshake.run();
                }
            })?;
        }
        Ok(pool)
    }

    /// Runs `handshake` on the threads of the pool. Dropping the task cancels it, a panic of the
    /// handshake reaches whoever awaits the task, and `None` says that the pool was stopped.
    pub fn run<F>(self: &Arc<Self>, network: ClientNetwork, handshake: F) -> FallibleTask<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let pool = Arc::clone(self);
        let schedule = move |ready| pool.push(network, ready);
        let builder = async_task::Builder::new().propagate_panic(true);
        let (ready, task) = builder.spawn(|()| handshake, schedule);
        ready.schedule();
        task.fallible()
    }

    /// Ends the threads and drops the handshakes that wait.
    pub fn stop(&self) {
        let waiting = {
            let mut queue = self.queue.lock();
            queue.stopped = true;
            std::mem::take(&mut queue.by_network)
        };
        self.not_empty.notify_all();
        // Dropping a handshake may schedule another one, which takes the lock.
        drop(waiting);
    }

    fn push(&self, network: ClientNetwork, handshake: Runnable) {
        let mut queue = self.queue.lock();
        if queue.stopped {
            drop(queue);
            return drop(handshake);
        }
        queue.push(network, handshake);
        drop(queue);
        self.not_empty.notify_one();
    }

    /// Waits for the next handshake; `None` once the pool is stopped.
    fn next(&self) -> Option<Runnable> {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(handshake) = queue.pop() {
                return Some(handshake);
            }
            self.not_empty.wait(&mut queue);
        }
    }
}

impl HandshakeQueue {
    fn push(&mut self, network: ClientNetwork, handshake: Runnable) {
        let of_network = self.by_network.entry(network).or_default();
        if of_network.is_empty() {
            self.round_robin.push_back(network);
        }
        of_network.push_back(handshake);
    }

    fn pop(&mut self) -> Option<Runnable> {
        let network = self.round_robin.pop_front()?;
        let of_network = self.by_network.get_mut(&network)?;
        let handshake = of_network.pop_front();
        if of_network.is_empty() {
            self.by_network.remove(&network);
        } else {
            self.round_robin.push_back(network);
        }
        handshake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_with_a_hundred_handshakes_delays_no_other_network() {
        let pool = Arc::new(HandshakePool::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let run = |network| {
            let order = Arc::clone(&order);
            pool.run(ClientNetwork::V6(network), async move { order.lock().push(network) })
        };
        let mut tasks: Vec<_> = (0..100).map(|_| run(1)).collect();
        tasks.extend([run(2), run(2), run(3)]);
        for _ in 0..tasks.len() {
            pool.next().expect("one that is ready").run();
        }
        let order = order.lock();
        assert_eq!(order[..6], [1, 2, 3, 1, 2, 1]);
        assert_eq!(order.len(), 103);
        let queue = pool.queue.lock();
        assert!(queue.by_network.is_empty() && queue.round_robin.is_empty());
    }

    #[test]
    fn a_handshake_that_nobody_awaits_is_dropped() {
        let pool = Arc::new(HandshakePool::default());
        let alive = Arc::new(());
        let held = |alive: &Arc<()>| {
            let held = Arc::clone(alive);
            pool.run(ClientNetwork::Local, async move { drop(held) })
        };
        drop(held(&alive));
        pool.next().expect("one to drop").run();
        assert_eq!(Arc::strong_count(&alive), 1);
        let waiting = held(&alive);
        pool.stop();
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(pool.next().is_none());
        drop(waiting);
        let late = held(&alive);
        assert_eq!(Arc::strong_count(&alive), 1, "after the pool has stopped");
        drop(late);
    }

    #[tokio::test]
    async fn handshakes_run_on_threads_that_called_on_start() {
        let (started, names) = std::sync::mpsc::channel();
        let on_start =
            move || started.send(thread::current().name().map(str::to_owned)).expect("sent");
        let pool = HandshakePool::start(&Handle::current(), on_start).expect("threads");
        let ran_on = pool.run(ClientNetwork::Local, async {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            thread::current().name().map(str::to_owned)
        });
        let ran_on = ran_on.await.flatten();
        assert_eq!(names.recv().expect("a name"), Some("handshake-0".to_owned()));
        assert!(ran_on.is_some_and(|name| name.starts_with("handshake-")));
        pool.stop();
    }
}
