//! The end of a certificate's validity.

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::x509::X509Ref;

/// The last second of a certificate's validity (`notAfter`, RFC 5280 section 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Expiry {
    /// Seconds since the epoch.
    pub unix_seconds: i64,
}

impl Expiry {
    /// Reads the end of a certificate.
    pub fn of(certificate: &X509Ref) -> Self {
        Self::at(certificate.not_after())
    }

    /// Reads a time of a certificate or of a revocation list.
    pub fn at(time: &Asn1TimeRef) -> Self {
        Self { unix_seconds: unix_seconds(time) }
    }

    /// Returns whether the validity is over at `now`.
    pub fn is_past(self, now: Self) -> bool {
        now > self
    }

    /// Returns the present second.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 ends nothing; the handshake has judged the certificate by that clock.
        let unix_seconds = since.map_or(0, |since| since.as_secs());
        Self { unix_seconds: i64::try_from(unix_seconds).unwrap_or(i64::MAX) }
    }
}

/// Returns the seconds of a time since the epoch.
pub(super) fn unix_seconds(time: &Asn1TimeRef) -> i64 {
    const DAY: i64 = 24 * 60 * 60;
    // The epoch is a valid time, and so is a time of a certificate: parsing checked it.
    Asn1Time::from_unix(0)
        .and_then(|epoch| epoch.diff(time))
        .map_or(0, |since| i64::from(since.days) * DAY + i64::from(since.secs))
}
