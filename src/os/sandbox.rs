//! The sandbox: after its start, the process gives up new privileges, capabilities, writing files,
//! and all of the network but the exporter. Without Landlock in the kernel, files and the network
//! stay accessible.
//!
//! These restrictions belong to a thread and are inherited by the threads that it starts. They have
//! two layers. Every thread may read files, since a later configuration may name other ones; the
//! threads that talk to the network may not even read. With a child, the main thread stays outside
//! the sandbox, which the exporter would inherit; that thread only starts and stops the child.

use std::io;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::seccomp;

/// The version of Landlock whose rights are used: files (Linux 5.13), TCP ports (6.7), signals
/// (6.12).
const LANDLOCK_ABI: ABI = ABI::V6;

/// The port for DNS over TCP, which a resolver falls back to (RFC 7766).
const DNS_PORT: u16 = 53;

/// The files and directories that getaddrinfo(3) reads: its configuration and its plug-ins.
const RESOLVER_PATHS: [&str; 10] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/run/systemd/resolve",
    "/lib",
    "/lib64",
    "/usr/lib",
];

/// The TCP ports that the threads of the guard connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connect {
    /// No port: the exporter listens on a unix socket, or is the guard itself.
    Nowhere,
    /// The port of an exporter that is named by its IP address.
    Port(u16),
    /// The port of an exporter that is named by a host name, and access to what resolving it needs.
    PortOfName(u16),
    /// Any port, since a later configuration may name others.
    Anywhere,
}

impl Connect {
    /// Returns the ports; `None` for any port.
    fn ports(self) -> Option<Vec<u16>> {
        match self {
            Self::Nowhere => Some(Vec::new()),
            Self::Port(port) => Some(vec![port]),
            Self::PortOfName(port) => Some(vec![port, DNS_PORT]),
            Self::Anywhere => None,
        }
    }

    fn resolves_names(self) -> bool {
        matches!(self, Self::PortOfName(_) | Self::Anywhere)
    }
}

/// The rights that the guard keeps after its start.
#[derive(Debug, Clone)]
pub struct SandboxPolicy {
    /// The directories of listening unix sockets, whose files are removed at the shutdown.
    socket_directories: Vec<PathBuf>,
    connect: Connect,
}

impl SandboxPolicy {
    /// Allows connections to `connect`, and the removal of the files of `sockets`.
    pub fn new<'a>(connect: Connect, sockets: impl Iterator<Item = &'a Path>) -> Self {
        let directory = |file: &Path| match file.parent() {
            Some(parent) if parent != "" => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        Self { socket_directories: sockets.map(directory).collect(), connect }
    }
}

/// The extent to which the kernel enforces the Landlock rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    /// All rules are enforced.
    Enforced,
    /// The kernel does not know all of the rights.
    Partly,
    /// The kernel does not have Landlock, or a container forbids it.
    Missing,
}

impl Landlock {
    /// Returns the name for the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Partly => "partly enforced",
            Self::Missing => "not supported",
        }
    }
}

/// The extent to which the sandbox of the process holds.
#[derive(Debug)]
pub struct Enforcement {
    /// The rules for files and the network.
    pub landlock: Landlock,
    /// The parts that the kernel, or the rules of a container, refused.
    pub refused: Vec<String>,
}

impl Enforcement {
    /// Returns whether every part of the sandbox holds.
    pub fn is_full(&self) -> bool {
        self.landlock == Landlock::Enforced && self.refused.is_empty()
    }
}

/// Enters the first layer, with this thread and those that it starts from now on. A part that the
/// kernel or a container refuses is left out: a guard without it is better than none.
pub fn enter(policy: &SandboxPolicy) -> Enforcement {
    let mut refused = Vec::new();
    let mut note = |part: &str, result: io::Result<()>| {
        refused.extend(result.err().map(|error| format!("{part}: {error}")));
    };
    let no_new_privs = rustix::thread::set_no_new_privs(true);
    note("no_new_privs", no_new_privs.map_err(io::Error::from));
    // Root in a container may be configured with files of other users, which must stay readable for
    // a reload.
    note("capabilities", keep_capabilities(&[Capability::CAP_DAC_READ_SEARCH]));
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let landlock = restrict_if_possible(policy, &[(PathBuf::from("/"), read)]);
    note("seccomp", seccomp::enter());
    Enforcement { landlock, refused }
}

/// Enters the second layer, with a thread that talks to the network.
///
/// # Errors
///
/// Returns an error when the thread cannot give up its capabilities.
pub fn enter_network_thread(policy: &SandboxPolicy) -> io::Result<Landlock> {
    keep_capabilities(&[])?;
    let paths: &[&str] = if policy.connect.resolves_names() { &RESOLVER_PATHS } else { &[] };
    let readable: Vec<_> = paths
        .iter()
        .map(|path| (PathBuf::from(path), AccessFs::ReadFile | AccessFs::ReadDir))
        .collect();
    Ok(restrict_if_possible(policy, &readable))
}

/// Restricts the thread if the kernel can. A container that forbids the system calls is treated
/// like a kernel without Landlock.
fn restrict_if_possible(
    policy: &SandboxPolicy,
    readable: &[(PathBuf, BitFlags<AccessFs>)],
) -> Landlock {
    restrict(policy, readable).unwrap_or_else(|error| {
        tracing::debug!(err = %error, "Failed to restrict the thread by Landlock");
        Landlock::Missing
    })
}

/// Returns what a thread may not reach outside of its sandbox: processes by signals, and abstract unix
/// sockets, which have no file that a rule could name. A service manager that listens on one is told
/// of the readiness all the same.
fn scopes() -> BitFlags<Scope> {
    let notify = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    match notify.as_encoded_bytes().starts_with(b"@") {
        true => Scope::Signal.into(),
        false => Scope::Signal | Scope::AbstractUnixSocket,
    }
}

fn restrict(
    policy: &SandboxPolicy,
    readable: &[(PathBuf, BitFlags<AccessFs>)],
) -> Result<Landlock, RulesetError> {
    let ports = policy.connect.ports();
    let network = match ports {
        Some(_) => AccessNet::from_all(LANDLOCK_ABI),
        None => AccessNet::BindTcp.into(),
    };
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(network)?
        .scope(scopes())?
        .create()?;
    let removable = policy
        .socket_directories
        .iter()
        .map(|directory| (directory.clone(), BitFlags::from(AccessFs::RemoveFile)));
    for (path, access) in readable.iter().cloned().chain(removable) {
        // A path that does not exist needs no rule.
        let Ok(path) = PathFd::new(path) else { continue };
        ruleset = ruleset.add_rule(PathBeneath::new(path, access))?;
    }
    for port in ports.iter().flatten() {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Enforced,
        RulesetStatus::PartiallyEnforced => Landlock::Partly,
        RulesetStatus::NotEnforced => Landlock::Missing,
    })
}

/// Drops the capabilities of this thread that are not in `wanted`.
fn keep_capabilities(wanted: &[Capability]) -> io::Result<()> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let inheritable = caps::read(None, CapSet::Inheritable).map_err(io::Error::other)?;
    if inheritable.is_empty() && permitted.iter().all(|held| wanted.contains(held)) {
        // There is nothing to drop, and a service manager may forbid the system call.
        return Ok(());
    }
    let kept = permitted.into_iter().filter(|held| wanted.contains(held)).collect();
    let drop = || {
        caps::clear(None, CapSet::Inheritable)?;
        caps::set(None, CapSet::Effective, &kept)?;
        caps::set(None, CapSet::Permitted, &kept)
    };
    drop().map_err(io::Error::other)
}
