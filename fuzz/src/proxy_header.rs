use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use exporter_guard::connection::proxy_header::{Header, parse};

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length.
const V2_FIXED: usize = 16;
const V1_MAX: usize = 107;

/// What a load balancer sends first: a header is found wherever the bytes are cut, says what is
/// written there, and ends where it says.
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

/// Section 2.1 of the specification.
fn version_1(header: &[u8]) -> Option<SocketAddr> {
    assert!(header.len() <= V1_MAX);
    if header.starts_with(b"PROXY UNKNOWN") {
        // Whatever follows is to be ignored.
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

/// Section 2.2.
fn version_2(header: &[u8]) -> Option<SocketAddr> {
    let rest = usize::from(u16::from_be_bytes([header[14], header[15]]));
    assert_eq!(header.len(), V2_FIXED + rest, "ends elsewhere");
    assert_eq!(header[12] >> 4, 2, "a version");
    assert!(header[12] & 0xf <= 1, "a command");
    let addresses = &header[V2_FIXED..];
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
