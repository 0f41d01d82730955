//! The PROXY protocol, versions 1 and 2: a load balancer names its client in a header before all
//! other bytes (<https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt>).

use std::net::SocketAddr;

use ppp::{PartialResult, v1, v2};
use tokio::io::AsyncReadExt;

use super::handshake::HandshakeError;
use super::io::SocketIo;

const V1_PREFIX: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of the longest line of version 1 (section 2.1).
const MAX_V1_BYTES: usize = 107;
/// Bytes of a header of version 2. The protocol allows 64 KiB; the addresses and a few extensions
/// (TLVs) fit into 4 KiB.
const MAX_V2_BYTES: usize = 4096;

/// The state of a header, judged by the bytes that have come so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// The bytes may become a header.
    Partial,
    /// The bytes begin no header.
    Malformed,
    /// The bytes begin with a whole header.
    Complete {
        /// The length of the header in bytes.
        len: usize,
        /// The address of the client; `None` when the load balancer speaks for itself (LOCAL) or
        /// for a client without an address (UNKNOWN, a unix socket).
        client: Option<SocketAddr>,
    },
}

/// Looks for a header at the beginning of `bytes`.
pub fn parse(bytes: &[u8]) -> Header {
    let begins = |prefix: &[u8]| bytes.iter().zip(prefix).all(|(a, b)| a == b);
    if begins(V1_PREFIX) {
        parse_line(&bytes[..bytes.len().min(MAX_V1_BYTES)])
    } else if begins(V2_SIGNATURE) {
        parse_binary(&bytes[..bytes.len().min(MAX_V2_BYTES)])
    } else {
        Header::Malformed
    }
}

/// Parses version 1. The parser gets the line alone, since bytes that follow it and bytes that have
/// not come yet would change its result.
fn parse_line(bytes: &[u8]) -> Header {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < MAX_V1_BYTES { Header::Partial } else { Header::Malformed };
    };
    let line = &bytes[..end + 2];
    let client = v1::Header::try_from(line).map(|header| client_of_v1(&header.addresses));
    match client {
        // The parser accepts a port of `+80`, which the protocol does not.
        Ok(client) if client.is_none() || !line.contains(&b'+') => {
            Header::Complete { len: line.len(), client }
        }
        _ => Header::Malformed,
    }
}

fn parse_binary(bytes: &[u8]) -> Header {
    match v2::Header::try_from(bytes) {
        Ok(header) => Header::Complete { len: header.len(), client: client_of_v2(&header) },
        Err(error) if error.is_incomplete() && bytes.len() < MAX_V2_BYTES => Header::Partial,
        Err(_) => Header::Malformed,
    }
}

fn client_of_v1(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Unknown => None,
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
    }
}

fn client_of_v2(header: &v2::Header<'_>) -> Option<SocketAddr> {
    match (header.command, header.addresses) {
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => {
            Some((ip.source_address, ip.source_port).into())
        }
        _ => None,
    }
}

/// Reads the header that a connection must begin with, under the deadline that is armed, and
/// returns the address of the client; see [`Header::Complete`] for when there is none.
///
/// # Errors
///
/// Returns [`HandshakeError::Silent`] when the connection ends before the first byte, else
/// [`HandshakeError::ProxyProtocol`].
pub async fn read(io: &mut SocketIo) -> Result<Option<SocketAddr>, HandshakeError> {
    let mut bytes = Vec::new();
    loop {
        match io.read_buf(&mut bytes).await {
            Ok(0) | Err(_) if bytes.is_empty() => return Err(HandshakeError::Silent),
            Ok(0) | Err(_) => return Err(HandshakeError::ProxyProtocol),
            Ok(_) => {}
        }
        match parse(&bytes) {
            Header::Partial => {}
            Header::Malformed => return Err(HandshakeError::ProxyProtocol),
            Header::Complete { len, client } => {
                let rest = bytes.split_off(len);
                if !rest.is_empty() {
                    io.unread(rest);
                }
                return Ok(client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(len: usize, client: &str) -> Header {
        Header::Complete { len, client: client.parse().ok() }
    }

    #[test]
    fn a_header_of_version_1_is_read_wherever_it_was_cut() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\r\n";
        let more = [line, &b"GET / HTTP/1.1\r\n"[..]].concat();
        for cut in 0..line.len() {
            assert_eq!(parse(&line[..cut]), Header::Partial, "{cut}");
        }
        assert_eq!(parse(&more), complete(line.len(), "192.0.2.1:56324"));
        let v6 = b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n";
        assert_eq!(parse(v6), complete(v6.len(), "[2001:db8::1]:1"));
        assert_eq!(parse(b"PROXY UNKNOWN\r\nx"), complete(15, ""));
        let hello = [&v6[..], b"\x16\x03\x01\xfe\xff"].concat();
        assert_eq!(parse(&hello), complete(v6.len(), "[2001:db8::1]:1"));
    }

    #[test]
    fn a_header_of_version_2_is_read_wherever_it_was_cut() {
        let addresses = b"\xc0\x00\x02\x01\xc0\x00\x02\x02\xdc\x04\x01\xbb";
        let header = [V2_SIGNATURE, b"\x21\x11\x00\x0c", addresses].concat();
        for cut in 0..header.len() {
            assert_eq!(parse(&header[..cut]), Header::Partial, "{cut}");
        }
        let more = [&header[..], b"\x16\x03\x01"].concat();
        assert_eq!(parse(&more), complete(header.len(), "192.0.2.1:56324"));
        let local = [V2_SIGNATURE, b"\x20\x00\x00\x00"].concat();
        assert_eq!(parse(&local), complete(16, ""));
        let too_long = [V2_SIGNATURE, b"\x21\x11\xff\xff", &[0; MAX_V2_BYTES]].concat();
        assert_eq!(parse(&too_long), Header::Malformed);
    }

    #[test]
    fn anything_else_is_malformed() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"\x16\x03\x01",
            b"PROXX",
            b"PROXY TCP4 a b c d\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 443\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 99999 443\r\n",
            &[b"PROXY TCP4 ", &[b'1'; 200][..]].concat(),
        ] {
            assert_eq!(parse(bytes), Header::Malformed, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
