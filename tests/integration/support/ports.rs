//! Addresses without a server, held so that no parallel test can get them.

use std::io;
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd};
use std::time::Duration;

/// A loopback address that no other test uses, so that a program can have a port of its choice;
/// each test has a number of its own.
pub fn own_address(last: u8, port: u16) -> String {
    let [high, low] = [(std::process::id() >> 8) as u8, std::process::id() as u8];
    format!("127.{high}.{low}.{last}:{port}")
}

/// An address that refuses connections: bound, but not listening.
pub struct Refusing(TcpListener);

impl Refusing {
    pub fn new() -> Self {
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes([127, 0, 0, 1]) },
            sin_zero: [0; 8],
        };
        let size = mem::size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is a valid sockaddr_in of the size given; the new descriptor has no
        // other owner.
        let socket = unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
            assert!(socket >= 0, "socket: {}", io::Error::last_os_error());
            let socket = TcpListener::from_raw_fd(socket);
            let bound = libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size);
            assert_eq!(bound, 0, "bind: {}", io::Error::last_os_error());
            socket
        };
        Self(socket)
    }

    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound socket")
    }

    /// Begin to listen.
    pub fn listen(self) -> TcpListener {
        listen(&self.0, 128);
        self.0
    }
}

/// An address where connecting takes for ever: its queue is full and no connection is accepted.
pub struct Unreachable {
    listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl Unreachable {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listen(&listener, 0);
        let address = listener.local_addr().expect("a bound socket");
        let mut queue = Vec::new();
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            queue.push(stream);
            assert!(queue.len() < 100, "the queue does not fill");
        }
        Self { listener, _queue: queue }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("a bound socket")
    }
}

fn listen(socket: &TcpListener, backlog: libc::c_int) {
    // SAFETY: a plain call on a descriptor that is open.
    let result = unsafe { libc::listen(socket.as_raw_fd(), backlog) };
    assert_eq!(result, 0, "listen: {}", io::Error::last_os_error());
}
