use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use exporter_guard::connection::proxy_header::{Header, parse};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes of a version 2 header before the addresses: signature, version and command, family and
/// protocol, length.
const V2_FIXED_LEN: usize = 16;
/// The most bytes of a version 1 header, CR and LF included (section 2.1 of the specification).
const V1_MAX_LEN: usize = 107;

/// Checks the header that a load balancer sends first: it is found however the bytes are split, its
/// address is the one in the header, and it ends where the header says.
pub fn proxy_header(sent: &[u8]) {
    let whole = parse(sent);
    for end in 0..sent.len().min(600) {
        match parse(&sent[..end]) {
            Header::Partial => {}
            early => assert_eq!(early, whole, "after {end} bytes"),
        }
    }
    let Header::Complete { len, client } = whole else { return };
    let header = &sent[..len];
    let expected =
        if header.starts_with(SIGNATURE) { version_2(header) } else { version_1(header) };
    assert_eq!(client, expected, "{}", header.escape_ascii());
}

/// Reads a version 1 header (section 2.1 of the PROXY protocol specification).
fn version_1(header: &[u8]) -> Option<SocketAddr> {
    assert!(header.len() <= V1_MAX_LEN);
    if header.starts_with(b"PROXY UNKNOWN") {
        // The specification says to ignore the rest of the line.
        return None;
    }
    let line = std::str::from_utf8(header).expect("ASCII");
    let line = line.strip_suffix("\r\n").expect("a whole line");
    assert!(!line.contains("\r\n"), "more than one line");
    let words: Vec<&str> = line.split(' ').collect();
    let port = |text: &str| -> u16 {
        assert!(text.bytes().all(|byte| byte.is_ascii_digit()), "a port of {text:?}");
        text.parse().expect("a port")
    };
    match *words {
        ["PROXY", "TCP4", source, destination, from, to] => {
            let _: (Ipv4Addr, u16) = (destination.parse().expect("an address"), port(to));
            let source: Ipv4Addr = source.parse().expect("an address");
            Some((source, port(from)).into())
        }
        ["PROXY", "TCP6", source, destination, from, to] => {
            let _: (Ipv6Addr, u16) = (destination.parse().expect("an address"), port(to));
            let source: Ipv6Addr = source.parse().expect("an address");
            Some((source, port(from)).into())
        }
        _ => panic!("accepted {line:?}"),
    }
}

/// Reads a version 2 header (section 2.2 of the PROXY protocol specification).
fn version_2(header: &[u8]) -> Option<SocketAddr> {
    let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
    assert_eq!(header.len(), V2_FIXED_LEN + rest, "ends elsewhere");
    assert_eq!(header[12] >> 4, 2, "a version");
    assert!(header[12] & 0xf <= 1, "a command");
    let addresses = &header[V2_FIXED_LEN..];
    let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
    if header[12] & 0xf == 0 {
        return None;
    }
    match header[13] >> 4 {
        1 => {
            let source: [u8; 4] = addresses[..4].try_into().expect("four bytes");
            Some((source, port(8)).into())
        }
        2 => {
            let source: [u8; 16] = addresses[..16].try_into().expect("sixteen bytes");
            Some((source, port(32)).into())
        }
        _ => None,
    }
}
