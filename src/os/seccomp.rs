//! A seccomp filter (seccomp(2)): system calls that the guard has no use for once it serves, and whoever
//! took over one of its threads would.
//!
//! The filter names what is forbidden, not what is allowed: C libraries and kernels differ in the calls
//! that a thread pool or a resolver makes, and a guard that dies of a new libc protects nobody.
//! Forbidden are programs, processes, code from memory, other processes' memory, modes and owners of
//! files, mounts, namespaces, keys, the kernel's own machinery, and sockets of other kinds than the
//! guard's. Landlock cannot forbid those: it knows files by path and TCP ports, not MPTCP, a memfd or a
//! raw socket.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

/// The calls that fail with EPERM.
const FORBIDDEN: &[i64] = &[
    // Programs and code from elsewhere.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
    libc::SYS_userfaultfd,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    // Modes, owners and kinds of files, and files by handle.
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_mknodat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_fanotify_init,
    // Mounts, roots and namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    // Users and groups.
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setfsuid,
    libc::SYS_setfsgid,
    libc::SYS_setgroups,
    // Keys.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // The kernel's machinery.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_personality,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
];

/// The same calls by the names that only this architecture has.
#[cfg(target_arch = "x86_64")]
const FORBIDDEN_HERE: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_mknod,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
];
#[cfg(not(target_arch = "x86_64"))]
const FORBIDDEN_HERE: &[i64] = &[];

/// The calls that fail with ENOSYS, as on a kernel without them: a C library falls back from clone3 to
/// clone, whose flags a filter can read.
const ABSENT: &[i64] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_fchmodat2,
];

/// The families of sockets that the guard makes: unix, IPv4, IPv6, and netlink, by which a resolver asks
/// for the addresses of this host.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The protocols of the guard's IPv4 and IPv6 sockets: the default of the type, TCP, UDP.
const PROTOCOLS: [i32; 3] = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP];

/// The bits of a socket's type that are not flags.
const TYPE_MASK: u64 = 0xf;

/// The first system call of the x32 ABI, which has numbers of its own for the same calls.
const X32_BIT: u32 = 0x4000_0000;

/// Forbids these calls to the calling thread and those that it starts from now on. Needs
/// no_new_privs (prctl(2)), which the sandbox sets before.
///
/// # Errors
///
/// Returns an error on an architecture whose calls are not known here, and the kernel's when it or the
/// container's own filter refuses.
pub fn enter() -> io::Result<()> {
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    for filter in [forbidden(arch)?, absent(arch)?, without_x32()] {
        seccompiler::apply_filter(&filter).map_err(io::Error::other)?;
    }
    Ok(())
}

fn forbidden(arch: TargetArch) -> io::Result<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        FORBIDDEN.iter().chain(FORBIDDEN_HERE).map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, forbidden_sockets()?);
    // A process of its own; threads share the memory of this one.
    let thread = libc::CLONE_THREAD as u64;
    let no_thread = condition(0, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(thread), 0)?;
    rules.insert(libc::SYS_clone, vec![rule(vec![no_thread])?]);
    compile(rules, libc::EPERM, arch)
}

fn absent(arch: TargetArch) -> io::Result<BpfProgram> {
    compile(ABSENT.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS, arch)
}

/// Forbids sockets of other families, of other types than streams and datagrams, and of other protocols
/// than TCP and UDP: MPTCP among them, which Landlock does not know.
fn forbidden_sockets() -> io::Result<Vec<SeccompRule>> {
    let (family, kind, protocol) = (0, 1, 2);
    let not = |argument, values: &[i32]| -> io::Result<Vec<SeccompCondition>> {
        let differs = |value: &i32| is(argument, SeccompCmpOp::Ne, *value);
        values.iter().map(differs).collect()
    };
    let mut rules = vec![rule(not(family, &FAMILIES)?)?];
    for ip in [libc::AF_INET, libc::AF_INET6] {
        let mut conditions = not(protocol, &PROTOCOLS)?;
        conditions.push(is(family, SeccompCmpOp::Eq, ip)?);
        rules.push(rule(conditions)?);
        for other in [libc::SOCK_RAW, libc::SOCK_RDM, libc::SOCK_SEQPACKET] {
            let is_other = is(kind, SeccompCmpOp::MaskedEq(TYPE_MASK), other)?;
            rules.push(rule(vec![is(family, SeccompCmpOp::Eq, ip)?, is_other])?);
        }
    }
    Ok(rules)
}

fn is(argument: u8, operator: SeccompCmpOp, value: i32) -> io::Result<SeccompCondition> {
    let value = u64::try_from(value).map_err(io::Error::other)?;
    condition(argument, SeccompCmpArgLen::Dword, operator, value)
}

fn condition(
    argument: u8,
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> io::Result<SeccompCondition> {
    SeccompCondition::new(argument, length, operator, value).map_err(io::Error::other)
}

fn rule(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: i32,
    arch: TargetArch,
) -> io::Result<BpfProgram> {
    let errno = SeccompAction::Errno(error.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, errno, arch);
    filter.and_then(TryInto::try_into).map_err(io::Error::other)
}

/// Forbids the x32 ABI, by whose numbers the other filters do not know a call. No architecture but
/// x86-64 has numbers so high.
fn without_x32() -> BpfProgram {
    let instruction = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let at_least = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    let answer = libc::BPF_RET | libc::BPF_K;
    let forbid = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    vec![
        // The number of the call is the first field of struct seccomp_data.
        instruction(load, 0, 0, 0),
        instruction(at_least, 0, 1, X32_BIT),
        instruction(answer, 0, 0, forbid),
        instruction(answer, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}
