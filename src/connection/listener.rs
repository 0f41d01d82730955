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

/// Connections the kernel completes while none is accepted; the kernel caps it at somaxconn.
pub(super) const BACKLOG: i32 = 4096;

/// What the address of a unix socket begins with.
const UNIX: &str = "unix:";

/// After accept fails for want of descriptors or memory, wait this long: existing connections end
/// meanwhile, and a loop that spins would keep them from doing so.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A bound socket, not yet known to the runtime.
pub struct Bound {
    socket: BoundSocket,
    /// The address for the log, with the real port.
    pub address: String,
    /// As the command line gives it; the same as `address` for a socket that was passed.
    pub name: String,
    file: Option<SocketFile>,
}

enum BoundSocket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Bound {
    /// Bind one address; a host name binds every address it resolves to.
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

    /// The sockets that systemd passed (sd_listen_fds(3)).
    pub fn from_systemd() -> io::Result<Vec<Self>> {
        systemd::listen_sockets()?.into_iter().map(Self::from_fd).collect()
    }

    /// A socket that another guard listens on, too; its file stays the other's.
    pub fn from_another(fd: OwnedFd, name: String) -> io::Result<Self> {
        let mut bound = Self::from_fd(fd)?;
        if let Some(path) = bound.address.strip_prefix(UNIX) {
            bound.file = Some(SocketFile::of_another(path.into()));
        }
        bound.name = name;
        Ok(bound)
    }

    /// The file that is to go away with the listener.
    pub fn take_file(&mut self) -> Option<SocketFile> {
        self.file.take()
    }

    /// One more descriptor of the same socket.
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
                (BoundSocket::Unix(OwnedFd::from(socket).into()), format!("{UNIX}{path}"))
            }
        };
        Ok(Self { socket, name: address.clone(), address, file: None })
    }

    /// Hand the socket to the runtime that is current.
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

/// `:PORT` is one dual-stack socket; a host without IPv6 gets the IPv4 one.
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

/// A listening socket of the runtime.
pub struct Listener {
    socket: AsyncSocket,
    /// As the command line gives it.
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
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// The next connection. Running out of descriptors or memory is waited out.
    pub async fn accept(&self) -> (AcceptedSocket, Option<SocketAddr>) {
        loop {
            match self.try_accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    if let Some(suppressed) = self.failures_logged.admit("accept") {
                        tracing::warn!(err = %error, suppressed, "Accept failed, trying again");
                    }
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    async fn try_accept(&self) -> io::Result<(AcceptedSocket, Option<SocketAddr>)> {
        match &self.socket {
            AsyncSocket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Responses are written whole; Nagle would hold their last segment back.
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

/// Errors of the one connection that was to be accepted, not of the listener.
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::InvalidInput
    )
}
