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

use crate::upstream::Upstream;

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

/// What the guard needs after its start.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Directories of listening unix sockets, whose files go away with them.
    socket_directories: Vec<PathBuf>,
    /// `None`: any port, since routes come and go.
    connect: Option<Vec<u16>>,
    resolves_names: bool,
}

impl Reach {
    /// `upstream`: the only one; `None` with routes.
    pub fn new<'a>(upstream: Option<&Upstream>, sockets: impl Iterator<Item = &'a Path>) -> Self {
        let directory = |file: &Path| match file.parent() {
            Some(parent) if parent != "" => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let socket_directories = sockets.map(directory).collect();
        let (connect, resolves_names) = match upstream {
            None => (None, true),
            Some(Upstream::Http { host, port } | Upstream::Https { host, port }) => {
                match host.parse::<std::net::IpAddr>() {
                    Ok(_) => (Some(vec![*port]), false),
                    Err(_) => (Some(vec![*port, DNS_PORT]), true),
                }
            }
            Some(Upstream::Unix(_) | Upstream::Own) => (Some(Vec::new()), false),
        };
        Self { socket_directories, connect, resolves_names }
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
pub fn enter(reach: &Reach) -> io::Result<Landlock> {
    // SAFETY: sets a flag of this thread; no pointer is passed.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // Root in a container may have been given files of others to read; they must reload.
    keep_capabilities(&[Capability::CAP_DAC_READ_SEARCH])?;
    let root: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    Ok(restrict_or_not(reach, &[(PathBuf::from("/"), root)]))
}

/// The second layer, for a thread that talks to the network.
pub fn enter_network_thread(reach: &Reach) -> io::Result<Landlock> {
    keep_capabilities(&[])?;
    let resolver: &[&str] = if reach.resolves_names { &RESOLVER } else { &[] };
    let resolver: Vec<_> = resolver
        .iter()
        .map(|path| (PathBuf::from(path), AccessFs::ReadFile | AccessFs::ReadDir))
        .collect();
    Ok(restrict_or_not(reach, &resolver))
}

/// A container may forbid the system calls, which is the same as a kernel that has none.
fn restrict_or_not(reach: &Reach, readable: &[(PathBuf, BitFlags<AccessFs>)]) -> Landlock {
    restrict(reach, readable).unwrap_or_else(|error| {
        tracing::debug!(err = %error, "Landlock");
        Landlock::Missing
    })
}

fn restrict(
    reach: &Reach,
    readable: &[(PathBuf, BitFlags<AccessFs>)],
) -> Result<Landlock, RulesetError> {
    let network = match reach.connect {
        Some(_) => AccessNet::from_all(LANDLOCK),
        None => AccessNet::BindTcp.into(),
    };
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(network)?
        .scope(Scope::Signal)?
        .create()?;
    let removable = reach
        .socket_directories
        .iter()
        .map(|directory| (directory.clone(), BitFlags::from(AccessFs::RemoveFile)));
    for (path, access) in readable.iter().cloned().chain(removable) {
        // What is not there needs no rule.
        let Ok(path) = PathFd::new(path) else { continue };
        ruleset = ruleset.add_rule(PathBeneath::new(path, access))?;
    }
    for port in reach.connect.iter().flatten() {
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
