//! What the process gives up once it has what it needs: new privileges, capabilities, writing
//! files, and the network but for the exporter. A kernel without Landlock keeps the rest.
//!
//! All of these belong to threads and are inherited by the threads they start. Two layers:
//! everything may read files, since a configuration may name other ones tomorrow; the threads that
//! talk to the network may not even do that. With a child, the main thread, which starts and ends
//! it and does nothing else, stays outside: what it gave up the exporter would lack, too.

use std::io;
use std::path::{Path, PathBuf};

use caps::{CapSet, Capability};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, NetPort, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The newest whose rights were looked at here: files (5.13), TCP ports (6.7), signals (6.12).
const LANDLOCK: ABI = ABI::V6;

/// For a resolver that falls back to TCP (RFC 7766).
const DNS_PORT: u16 = 53;

/// What getaddrinfo(3) reads: its configuration and its plug-ins.
const RESOLVER: [&str; 10] = [
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
    /// None: the exporter is a unix socket, or the guard itself.
    Nowhere,
    /// One port, of an exporter that is named by its IP address.
    Port(u16),
    /// One port, of an exporter that is named by a host name, and what resolving it takes.
    PortOfName(u16),
    /// Any port, since the configuration may name others tomorrow.
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
    /// Directories of listening unix sockets, whose files are removed at the end.
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

/// How far the kernel went along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landlock {
    Enforced,
    /// A kernel that does not know all of it.
    Partly,
    Missing,
}

impl Landlock {
    /// As the log names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Partly => "partly enforced",
            Self::Missing => "not supported",
        }
    }
}

/// The first layer, for this thread and those it starts from now on.
pub fn enter(policy: &SandboxPolicy) -> io::Result<Landlock> {
    rustix::thread::set_no_new_privs(true)?;
    // Root in a container may have been given files of others to read; they must reload.
    keep_capabilities(&[Capability::CAP_DAC_READ_SEARCH])?;
    let root: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    Ok(restrict_or_not(policy, &[(PathBuf::from("/"), root)]))
}

/// The second layer, for a thread that talks to the network.
pub fn enter_network_thread(policy: &SandboxPolicy) -> io::Result<Landlock> {
    keep_capabilities(&[])?;
    let resolver: &[&str] = if policy.connect.resolves_names() { &RESOLVER } else { &[] };
    let resolver: Vec<_> = resolver
        .iter()
        .map(|path| (PathBuf::from(path), AccessFs::ReadFile | AccessFs::ReadDir))
        .collect();
    Ok(restrict_or_not(policy, &resolver))
}

/// A container may forbid the system calls, which is the same as a kernel that has none.
fn restrict_or_not(policy: &SandboxPolicy, readable: &[(PathBuf, BitFlags<AccessFs>)]) -> Landlock {
    restrict(policy, readable).unwrap_or_else(|error| {
        tracing::debug!(err = %error, "Landlock");
        Landlock::Missing
    })
}

fn restrict(
    policy: &SandboxPolicy,
    readable: &[(PathBuf, BitFlags<AccessFs>)],
) -> Result<Landlock, RulesetError> {
    let ports = policy.connect.ports();
    let network = match ports {
        Some(_) => AccessNet::from_all(LANDLOCK),
        None => AccessNet::BindTcp.into(),
    };
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(network)?
        .scope(Scope::Signal)?
        .create()?;
    let removable = policy
        .socket_directories
        .iter()
        .map(|directory| (directory.clone(), BitFlags::from(AccessFs::RemoveFile)));
    for (path, access) in readable.iter().cloned().chain(removable) {
        // What is not there needs no rule.
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

/// Of the capabilities this thread has, keep these at most.
fn keep_capabilities(wanted: &[Capability]) -> io::Result<()> {
    let permitted = caps::read(None, CapSet::Permitted).map_err(io::Error::other)?;
    let inheritable = caps::read(None, CapSet::Inheritable).map_err(io::Error::other)?;
    if inheritable.is_empty() && permitted.iter().all(|held| wanted.contains(held)) {
        // A service manager may forbid the call to those that have nothing to give up.
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
