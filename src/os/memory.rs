//! The memory that is free in the allocator and not yet given back to the system.
//!
//! Every thread has pages of its own, and looks for those that have become free only when it allocates.
//! After a burst of requests the threads have nothing to allocate, and would keep them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// Links the allocator, whose function is declared here.
use libmimalloc_sys as _;

unsafe extern "C" {
    fn mi_collect(force: bool);
}

/// The number of requests to give memory back.
static REQUESTS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The request that this thread has followed last.
    static FOLLOWED: Cell<u64> = const { Cell::new(0) };
}

/// Asks all threads to give back what they have free, each when it calls [`give_back`].
pub fn request_give_back() {
    REQUESTS.fetch_add(1, Relaxed);
}

/// Gives back the memory that this thread has free, if it was asked for since the last call.
pub fn give_back() {
    let requests = REQUESTS.load(Relaxed);
    if FOLLOWED.replace(requests) != requests {
        // SAFETY: the function takes no pointer, and may be called by any thread at any time, whether
        // or not mimalloc is the allocator of the program.
        unsafe { mi_collect(true) };
    }
}
