//! System calls made by a thread of another process, as whoever took it over would make them
//! (ptrace(2), x86-64).

use std::io;
use std::mem;

use libc::{c_long, c_void, pid_t, user_regs_struct};

/// The length of the `syscall` instruction, after which a thread that waits in the kernel stands.
const SYSCALL_LEN: u64 = 2;

fn ptrace(request: libc::c_uint, thread: pid_t, data: *mut c_void) -> io::Result<c_long> {
    // SAFETY: the requests used here read or write at most the registers behind `data`, which outlive
    // the call.
    let result = unsafe { libc::ptrace(request, thread, std::ptr::null_mut::<c_void>(), data) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn wait_stopped(thread: pid_t) {
    let mut status = 0;
    // SAFETY: writes one integer.
    let stopped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL) };
    assert_eq!(stopped, thread, "{}", io::Error::last_os_error());
    assert!(libc::WIFSTOPPED(status), "{status:x}");
}

fn registers(thread: pid_t) -> user_regs_struct {
    // SAFETY: plain integers, for which zero is a value.
    let mut registers: user_regs_struct = unsafe { mem::zeroed() };
    ptrace(libc::PTRACE_GETREGS, thread, (&raw mut registers).cast()).unwrap();
    registers
}

/// Makes `thread`, which waits in a system call, make this one, and returns what the kernel answers: a
/// negative number is an error.
pub fn syscall(thread: pid_t, number: c_long, arguments: [u64; 6]) -> i64 {
    let _held = hold(thread);
    let mut before = registers(thread);
    let mut call = before;
    call.rip -= SYSCALL_LEN;
    call.rax = number as u64;
    // No restart of the call that was interrupted.
    call.orig_rax = u64::MAX;
    [call.rdi, call.rsi, call.rdx, call.r10, call.r8, call.r9] = arguments;
    ptrace(libc::PTRACE_SETREGS, thread, (&raw mut call).cast()).unwrap();
    ptrace(libc::PTRACE_SINGLESTEP, thread, std::ptr::null_mut()).unwrap();
    wait_stopped(thread);
    let result = registers(thread).rax as i64;
    ptrace(libc::PTRACE_SETREGS, thread, (&raw mut before).cast()).unwrap();
    result
}

/// A thread that is stopped until this value is dropped, on the thread that made it.
pub struct Held(pid_t);

/// Stop a thread, and no other of its process.
pub fn hold(thread: pid_t) -> Held {
    ptrace(libc::PTRACE_SEIZE, thread, std::ptr::null_mut()).unwrap();
    ptrace(libc::PTRACE_INTERRUPT, thread, std::ptr::null_mut()).unwrap();
    wait_stopped(thread);
    Held(thread)
}

impl Drop for Held {
    fn drop(&mut self) {
        ptrace(libc::PTRACE_DETACH, self.0, std::ptr::null_mut()).unwrap();
    }
}
