//! What threads that compute for strangers are given.

/// Half the cores, so that the other half serves whatever happens.
pub fn half_the_cores() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

/// Put the calling thread below those that serve (nice(2)). A refusal leaves its priority as it was,
/// which is only slower for others.
pub fn lower_priority(nice: libc::c_int) {
    // SAFETY: setpriority takes plain integers; 0 means the calling thread on Linux.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}
