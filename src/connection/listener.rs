//! Listening sockets and the accept loop.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::socket_file;
use super::socket_file::{SocketFile, SocketMode};
use crate::config::ListenAddress;
use crate::observe::LogThrottle;
use crate::os::systemd;

/// Connections that the kernel completes while none is accepted; the kernel caps it at
/// `net.core.somaxconn`.
pub(super) const BACKLOG: i32 = 4096;

/// The beginning of a unix socket's address.
const UNIX_PREFIX: &str = "unix:";

/// The wait after accept has failed for want of descriptors or memory: open connections end
/// meanwhile, and a loop that spins would keep them from doing so.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(50);

/// A bound socket that the runtime does not know yet.
pub struct Bound {
    socket: BoundSocket,
    /// The address for the log, with the real port.
    pub address: String,
    /// The address as the command line gives it; for a socket that systemd passed, `address`.
    pub name: String,
    /// The file of a unix socket that the guard has bound, or got from another guard.
    file: Option<SocketFile>,
}

enum BoundSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    /// Binds one address; for a host name, every address that it resolves to.
    ///
    /// # Errors
    ///
    /// Returns the error of the resolver, or of the operating system for the first address that
    /// cannot be bound.
    pub fn bind(address: &ListenAddress) -> io::Result<Vec<Self>> {
        let mut bound = match address {
            ListenAddress::Unix(path) => {
                let (socket, file) = socket_file::bind(path, SocketMode::Umask)?;
                vec![Self { file: Some(file), ..Self::from_fd(socket.into())? }]
            }
            ListenAddress::Tcp { host, port } if host.is_empty() => vec![bind_any(*port)?],
            ListenAddress::Tcp { host, port } => (host.as_str(), *port)
                .to_socket_addrs()?
                .map(|resolved| bind_tcp(resolved, true))
                .collect::<io::Result<_>>()?,
        };
        for socket in &mut bound {
            socket.name = address.to_string();
        }
        Ok(bound)
    }

    /// Takes the sockets that systemd passed (sd_listen_fds(3)); none without socket activation.
    ///
    /// # Errors
    ///
    /// Returns the error of [`systemd::listen_sockets`], or of the operating system for a
    /// descriptor that is no socket.
    pub fn from_systemd() -> io::Result<Vec<Self>> {
        systemd::listen_sockets()?.into_iter().map(Self::from_fd).collect()
    }

    /// Takes a socket that another guard listens on, too, and that still owns the file of the
    /// socket.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system for a descriptor that is no socket.
    pub fn from_another(fd: OwnedFd, name: String) -> io::Result<Self> {
        let mut bound = Self::from_fd(fd)?;
        if let Some(path) = bound.address.strip_prefix(UNIX_PREFIX) {
            bound.file = Some(SocketFile::of_another(path.into()));
        }
        bound.name = name;
        Ok(bound)
    }

    /// Takes the file that is to be removed with the listener.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// Returns one more descriptor of the same socket.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system when there is no descriptor left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            BoundSocket::Tcp(socket) => socket.as_fd(),
            BoundSocket::Unix(socket) => socket.as_fd(),
        }
        .try_clone_to_owned()
    }

    fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(fd);
        socket.set_nonblocking(true)?;
        let local = socket.local_addr()?;
        let (socket, address) = match (local.as_socket(), local.as_pathname()) {
            (Some(address), _) => (BoundSocket::Tcp(socket.into()), address.to_string()),
            (None, path) => {
                let path = path.map_or("(unnamed)".into(), Path::to_string_lossy);
                (BoundSocket::Unix(OwnedFd::from(socket).into()), format!("{UNIX_PREFIX}{path}"))
            }
        };
        Ok(Self { socket, name: address.clone(), address, file: None })
    }

    /// Registers the socket with the current runtime.
    ///
    /// # Errors
    ///
    /// Returns the error of the operating system when the socket cannot be registered.
    ///
    /// # Panics
    ///
    /// Panics outside a tokio runtime.
    pub fn listen(self) -> io::Result<Listener> {
        let socket = match self.socket {
            BoundSocket::Tcp(socket) => AsyncSocket::Tcp(TcpListener::from_std(socket)?),
            BoundSocket::Unix(socket) => AsyncSocket::Unix(UnixListener::from_std(socket)?),
        };
        Ok(Listener { socket, name: self.name.into(), failures_logged: LogThrottle::default() })
    }
}

fn bind_tcp(address: SocketAddr, only_v6: bool) -> io::Result<Bound> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Bound::from_fd(socket.into())
}

/// Binds `:PORT`: one dual-stack socket, or on a host without IPv6 one for IPv4.
fn bind_any(port: u16) -> io::Result<Bound> {
    let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
    match bind_tcp(v6, false) {
        Err(error)
            if [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
                .iter()
                .any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) =>
        {
            bind_tcp(SocketAddr::new([0, 0, 0, 0].into(), port), true)
        }
        other => other,
    }
}

/// A listening socket that is registered with the runtime.
pub struct Listener {
    socket: AsyncSocket,
    /// The address as the command line gives it.
    pub name: Arc<str>,
    failures_logged: LogThrottle,
}

enum AsyncSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// An accepted socket.
#[derive(Debug)]
pub enum AcceptedSocket {
    /// A TCP connection.
    Tcp(TcpStream),
    /// A connection to a unix socket.
    Unix(UnixStream),
}

impl Listener {
    /// Waits for the next connection, and returns it with the address of the client, which a unix
    /// socket does not have. While the system lacks descriptors or memory, tries again.
    pub async fn accept(&self) -> (AcceptedSocket, Option<SocketAddr>) {
        loop {
            match self.try_accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    if let Some(suppressed) = self.failures_logged.admit("accept") {
                        tracing::warn!(err = %error, suppressed, "Accept failed, trying again");
                    }
                    tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
                }
            }
        }
    }

    async fn try_accept(&self) -> io::Result<(AcceptedSocket, Option<SocketAddr>)> {
        match &self.socket {
            AsyncSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Responses are written whole; Nagle's algorithm would delay their last segment.
                stream.set_nodelay(true)?;
                Ok((AcceptedSocket::Tcp(stream), Some(peer)))
            }
            AsyncSocket::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((AcceptedSocket::Unix(stream), None))
            }
        }
    }
}

/// Returns whether the error is of the one connection that was to be accepted, not of the listener.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidInput
    )
}
