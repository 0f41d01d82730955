//! The share of the machine that threads get which compute for strangers.

use rustix::process::setpriority_process;

/// Returns half the number of cores, rounded up: the other half serves requests whatever happens.
pub fn half_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Lowers the priority of the calling thread to the nice value `nice`, 0 to 19 (setpriority(2)).
pub fn lower_priority(nice: i32) {
    // On Linux, the process 0 is the calling thread. A refusal leaves the priority as it was, which is
    // only slower for others.
    let _ = setpriority_process(None, nice);
}
