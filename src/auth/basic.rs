//! The `Authorization: Basic` header (RFC 7617), read as Go's `Request.BasicAuth` reads it.

use base64::Engine;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Go's decoder ignores the unused bits of the last character; so must we, or a client that works
/// against an exporter would fail here.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

const SCHEME: &[u8] = b"basic ";

/// A user name and a password, wiped when dropped.
pub struct Credentials {
    decoded: Zeroizing<Vec<u8>>,
    colon: usize,
}

impl Credentials {
    /// The scheme's case does not matter; the name ends at the first colon; the password may hold
    /// colons and any bytes.
    pub fn parse(header: &[u8]) -> Option<Self> {
        let (scheme, encoded) = header.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let decoded = Zeroizing::new(BASE64.decode(encoded).ok()?);
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        Some(Self { decoded, colon })
    }

    pub fn user(&self) -> &[u8] {
        &self.decoded[..self.colon]
    }

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
    fn reads_what_go_reads() {
        let pair = |u: &[u8], p: &[u8]| Some((u.to_vec(), p.to_vec()));
        assert_eq!(parsed(b"Basic YTpi"), pair(b"a", b"b"));
        assert_eq!(parsed(b"bAsIc YTpi"), pair(b"a", b"b"));
        assert_eq!(parsed(b"Basic YTpiOmM="), pair(b"a", b"b:c"));
        assert_eq!(parsed(b"Basic Og=="), pair(b"", b""));
        assert_eq!(parsed(b"Basic Oh=="), pair(b"", b""), "trailing bits");
        assert_eq!(parsed(b"Basic YTr/AA=="), pair(b"a", b"\xff\0"));
    }

    #[test]
    fn refuses_what_go_refuses() {
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
