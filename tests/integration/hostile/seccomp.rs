//! System calls from inside the real process, made by its own threads: what whoever took over a thread
//! could do.

use std::os::unix::process::CommandExt;

use libc::{EFAULT, ENOSYS, EPERM, c_long};
use seccompiler::{SeccompAction, SeccompFilter};

use crate::support::inject::syscall;
use crate::support::logfmt;
use crate::support::procfs;
use crate::support::*;

const MPTCP: u64 = 262;

fn no_arguments() -> [u64; 6] {
    [0; 6]
}

fn socket(family: i32, kind: i32, protocol: u64) -> [u64; 6] {
    [family as u64, kind as u64, protocol, 0, 0, 0]
}

/// Calls with the error that the filter gives. Without it, a null pointer would be EFAULT.
fn forbidden() -> Vec<(&'static str, c_long, [u64; 6], i32)> {
    vec![
        ("MPTCP", libc::SYS_socket, socket(libc::AF_INET, libc::SOCK_STREAM, MPTCP), EPERM),
        (
            "MPTCP over IPv6",
            libc::SYS_socket,
            socket(libc::AF_INET6, libc::SOCK_STREAM, MPTCP),
            EPERM,
        ),
        ("a raw socket", libc::SYS_socket, socket(libc::AF_INET, libc::SOCK_RAW, 1), EPERM),
        ("SCTP", libc::SYS_socket, socket(libc::AF_INET, libc::SOCK_SEQPACKET, 132), EPERM),
        ("a packet socket", libc::SYS_socket, socket(libc::AF_PACKET, libc::SOCK_RAW, 0), EPERM),
        ("a vsock", libc::SYS_socket, socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0), EPERM),
        ("execve", libc::SYS_execve, no_arguments(), EPERM),
        ("execveat", libc::SYS_execveat, no_arguments(), EPERM),
        ("memfd_create", libc::SYS_memfd_create, no_arguments(), EPERM),
        ("chmod", libc::SYS_chmod, no_arguments(), EPERM),
        ("fchmodat", libc::SYS_fchmodat, no_arguments(), EPERM),
        ("chown", libc::SYS_chown, no_arguments(), EPERM),
        ("setxattr", libc::SYS_setxattr, no_arguments(), EPERM),
        ("mount", libc::SYS_mount, no_arguments(), EPERM),
        ("unshare", libc::SYS_unshare, no_arguments(), EPERM),
        ("userfaultfd", libc::SYS_userfaultfd, no_arguments(), EPERM),
        ("add_key", libc::SYS_add_key, no_arguments(), EPERM),
        ("bpf", libc::SYS_bpf, no_arguments(), EPERM),
        ("fork", libc::SYS_fork, no_arguments(), EPERM),
        ("clone", libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0], EPERM),
        ("clone3", libc::SYS_clone3, no_arguments(), ENOSYS),
        ("io_uring_setup", libc::SYS_io_uring_setup, no_arguments(), ENOSYS),
        ("fchmodat2", libc::SYS_fchmodat2, no_arguments(), ENOSYS),
        ("execve by x32", 0x4000_0000 | 520, no_arguments(), EPERM),
    ]
}

fn assert_forbidden(thread: libc::pid_t, name: &str) {
    for (what, number, arguments, error) in forbidden() {
        assert_eq!(syscall(thread, number, arguments), -i64::from(error), "{what} in {name}");
    }
    // A socket of the guard's own kind.
    let tcp = socket(libc::AF_INET, libc::SOCK_STREAM, 0);
    let descriptor = syscall(thread, libc::SYS_socket, tcp);
    assert!(descriptor >= 0, "{name}: {descriptor}");
    assert_eq!(syscall(thread, libc::SYS_close, [descriptor as u64, 0, 0, 0, 0, 0]), 0);
}

#[test]
fn no_thread_can_make_a_call_that_the_guard_has_no_use_for() {
    let guard = GuardBuilder::new().config(scraper()).telemetry().start();
    guard.wait_message("Entered the sandbox");
    // Starts the threads that check passwords.
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200);
    let threads = procfs::named_threads(guard.id());
    for kind in ["tokio", "handshake", "bcrypt", "reload", "log"] {
        assert!(threads.iter().any(|(_, name)| name.starts_with(kind)), "{kind}: {threads:?}");
    }
    for (thread, name) in &threads {
        assert_forbidden(*thread, name);
    }
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200, "it goes on serving");
}

#[test]
fn with_a_child_the_main_thread_alone_can_start_programs() {
    let guard = GuardBuilder::new().config(OPEN).child(&["sleep", "1000"]).start();
    guard.wait_message("Started the exporter");
    for (thread, name) in procfs::named_threads(guard.id()) {
        if thread == libc::pid_t::try_from(guard.id()).unwrap() {
            let executed = syscall(thread, libc::SYS_execve, no_arguments());
            assert_eq!(executed, -i64::from(EFAULT), "the main thread starts the child");
        } else {
            assert_forbidden(thread, &name);
        }
    }
}

/// As some container runtimes and service managers do it.
#[test]
fn a_guard_that_may_not_enter_its_sandbox_serves_with_a_warning() {
    let refused = [
        libc::SYS_prctl,
        libc::SYS_prlimit64,
        libc::SYS_capset,
        libc::SYS_landlock_create_ruleset,
        libc::SYS_seccomp,
    ];
    let filter = SeccompFilter::new(
        refused.map(|call| (call, Vec::new())).into(),
        SeccompAction::Allow,
        SeccompAction::Errno(EPERM as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let filter: seccompiler::BpfProgram = filter.unwrap().try_into().unwrap();
    let guard = GuardBuilder::new().config(scraper()).before_exec(move |command| {
        let filter = filter.clone();
        // SAFETY: makes system calls alone between fork and exec.
        unsafe {
            command.pre_exec(move || {
                seccompiler::apply_filter(&filter).map_err(|_| std::io::ErrorKind::Other.into())
            });
        }
    });
    let guard = guard.start();
    let line = guard.wait_message("Entered the sandbox in part");
    for part in ["no_new_privs", "seccomp"] {
        assert!(logfmt::field(&line, "refused").contains(part), "{line}");
    }
    assert_eq!(guard.connect().get_as(SCRAPER, "/metrics").status, 200);
}
