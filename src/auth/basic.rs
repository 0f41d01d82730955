//! The `Authorization: Basic` header (RFC 7617), read as Go's `Request.BasicAuth` reads it.

use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// A decoder that ignores the unused bits of the last character, as Go's decoder does: a client
/// that works against an exporter has to work here.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const SCHEME: &[u8] = b"basic ";

/// A user name and a password, wiped from memory when dropped.
pub struct Credentials {
    decoded: Zeroizing<Vec<u8>>,
    /// The position of the colon between the two.
    colon: usize,
}

impl Credentials {
    /// Parses the value of an `Authorization` field; `None` if it is not well-formed `Basic`.
    ///
    /// The case of the scheme does not matter. The name ends at the first colon, so the password
    /// may contain colons; it may contain any bytes.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, encoded) = header.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let decoded = Zeroizing::new(BASE64.decode(encoded).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some(Self { decoded, colon })
    }

    /// Returns the user name.
    pub fn user(&self) -> &[u8] {
        &self.decoded[..self.colon]
    }

    /// Returns the password.
    pub fn password(&self) -> &[u8] {
        &self.decoded[self.colon + 1..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(header: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        Credentials::parse(header).map(|c| (c.user().to_vec(), c.password().to_vec()))
    }

    #[test]
    fn headers_that_go_accepts_are_accepted() {
        let pair = |u: &[u8], p: &[u8]| Some((u.to_vec(), p.to_vec()));
        assert_eq!(parsed(b"Basic YTpi"), pair(b"a", b"b"));
        assert_eq!(parsed(b"bAsIc YTpi"), pair(b"a", b"b"));
        assert_eq!(parsed(b"Basic YTpiOmM="), pair(b"a", b"b:c"));
        assert_eq!(parsed(b"Basic Og=="), pair(b"", b""));
        assert_eq!(parsed(b"Basic Oh=="), pair(b"", b""), "trailing bits");
        assert_eq!(parsed(b"Basic YTr/AA=="), pair(b"a", b"\xff\0"));
    }

    #[test]
    fn headers_that_go_refuses_are_refused() {
        for header in [
            &b""[..],
            b"Basic",
            b"Basic ",
            b"Basic YWI=",
            b"Basic YTpi=",
            b"Basic  YTpi",
            b"Basic YTpi ",
            b"Basic YTpiOmM",
            b"Bearer YTpi",
            b"Basic\tYTpi",
            b"Basic Y-pi",
        ] {
            assert_eq!(parsed(header), None, "{}", header.escape_ascii());
        }
    }
}
