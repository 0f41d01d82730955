//! Durations as Go writes them: `1s`, `250ms`, `1h2m3.5s`.

use std::time::Duration;

/// A text that is no duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a duration such as 1s, 250ms or 1h2m3.5s")]
pub struct InvalidDuration;

/// The durations that [`parse`] takes, as a regular expression without anchors.
pub const PATTERN: &str = r"[-+]?(0|(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)";

/// The durations that [`parse`] reads as zero, as a regular expression without anchors.
pub const ZERO_PATTERN: &str = r"-.*|\+?(0|((0+\.?0*|\.0+)(ns|us|µs|μs|ms|s|m|h))+)";

/// Longer units first, so that `m` does not take the start of `ms`.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3), // U+00B5
    ("μs", 1e3), // U+03BC
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// Go's longest duration, about 292 years.
const MAX_NANOS: f64 = i64::MAX as f64;

/// Parses what Go's `time.ParseDuration` takes; a negative duration is zero.
///
/// # Errors
///
/// Returns [`InvalidDuration`] for every other text, and for more than 292 years.
pub fn parse(text: &str) -> Result<Duration, InvalidDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos = 0.0;
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or(InvalidDuration)?;
        let number: f64 = match &rest[..end] {
            "" | "." => return Err(InvalidDuration),
            digits => digits.parse().map_err(|_| InvalidDuration)?,
        };
        let (unit, scale) =
            UNITS.iter().find(|(unit, _)| rest[end..].starts_with(unit)).ok_or(InvalidDuration)?;
        nanos += number * scale;
        rest = &rest[end + unit.len()..];
        if rest.is_empty() {
            break;
        }
    }
    if nanos > MAX_NANOS {
        return Err(InvalidDuration);
    }
    Ok(if negative { Duration::ZERO } else { Duration::from_nanos(nanos as u64) })
}

/// Writes a duration as [`parse`] reads it, in the largest unit that needs no fraction.
pub fn display(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let units = [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];
    let units = units.into_iter().chain([("ms", 1_000_000), ("µs", 1_000), ("ns", 1)]);
    let fitting = units
        .filter(|(_, scale)| nanos > 0 && nanos.is_multiple_of(*scale))
        .map(|(unit, scale)| format!("{}{unit}", nanos / scale));
    fitting.into_iter().next().unwrap_or_else(|| "0s".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_go_parses() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("1s", 1_000_000_000),
            ("250ms", 250_000_000),
            ("100µs", 100_000),
            ("100μs", 100_000),
            ("100us", 100_000),
            ("7ns", 7),
            ("1h2m3.5s", 3_723_500_000_000),
            ("+5m", 300_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("-1s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses() {
        for text in ["", "1", "s", ".s", "1d", "1 s", "1s ", "1.2.3s", "3000000h", "-", "1s2"] {
            assert_eq!(parse(text), Err(InvalidDuration), "{text}");
        }
    }

    #[test]
    fn displays_what_it_parses() {
        for text in ["0s", "9500ms", "5m", "2s", "1h", "7ns", "100µs"] {
            assert_eq!(display(parse(text).unwrap()), text);
        }
    }
}
