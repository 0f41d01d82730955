//! A reference implementation of basic authentication, as simple as possible, to compare the guard
//! with.

/// Returns the user and the password of an `Authorization` header, by RFC 7617 and Go's
/// `Request.BasicAuth`: the scheme in any case, exactly one space, padded standard base64 whose
/// unused bits are ignored, the user up to the first colon.
///
/// Go's decoder also skips CR and LF, which no header value can contain.
pub fn parse(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    if header.len() < 6 || !header[..6].eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let decoded = decode(&header[6..])?;
    let mut parts = decoded.splitn(2, |byte| *byte == b':');
    Some((parts.next()?.to_vec(), parts.next()?.to_vec()))
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut decoded = Vec::new();
    for (index, four) in text.chunks(4).enumerate() {
        let padding = match four {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && (index + 1) * 4 != text.len() {
            return None;
        }
        let mut bits = 0;
        for character in &four[..4 - padding] {
            bits = bits << 6 | value(*character)?;
        }
        bits <<= 6 * padding;
        decoded.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    Some(decoded)
}

fn value(character: u8) -> Option<u32> {
    Some(u32::from(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

/// Returns whether two passwords are the same to bcrypt, whose key is 72 bytes long: the password
/// and a NUL, repeated.
pub fn same_password(left: &[u8], right: &[u8]) -> bool {
    let key = |password: &[u8]| -> Vec<u8> {
        [password, b"\0"].concat().into_iter().cycle().take(72).collect()
    };
    key(left) == key(right)
}
