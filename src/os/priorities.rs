//! The CPU share of the threads that compute for unauthenticated clients: bcrypt and TLS
//! handshakes.

use rustix::process::setpriority_process;

/// Returns half the number of cores, rounded up: the other half stays free to serve requests.
pub fn half_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Lowers the priority of the calling thread to the nice value `nice`, 0 to 19 (setpriority(2)).
pub fn lower_priority(nice: i32) {
    // On Linux, process 0 is the calling thread. A failure is ignored: the thread then keeps its
    // priority, and only competes more with the others.
    let _ = setpriority_process(None, nice);
}
