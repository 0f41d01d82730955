//! Work that other threads go on with while a test does its own.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Set when the work beside is to end.
pub struct Stop(AtomicBool);

impl Stop {
    pub fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// Sets it at the end of its scope, also when the test panics: the threads would go on for ever.
struct SetOnDrop<'a>(&'a Stop);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.0.store(true, Relaxed);
    }
}

/// Run `work` while this many threads run `beside`, each with its number. All have ended when this
/// returns; a panic of one of them fails the test.
pub fn beside<R>(
    threads: usize,
    beside: impl Fn(usize, &Stop) + Sync,
    work: impl FnOnce() -> R,
) -> R {
    let stop = Stop(AtomicBool::new(false));
    thread::scope(|scope| {
        for number in 0..threads {
            let (stop, beside) = (&stop, &beside);
            scope.spawn(move || beside(number, stop));
        }
        let _stop = SetOnDrop(&stop);
        work()
    })
}
