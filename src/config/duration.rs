//! Durations as Go writes them: `1s`, `250ms`, `1h2m3.5s`.

use std::fmt;
use std::time::Duration;

use super::findings::Problems;
use super::node::{Kind, Node};

#[derive(Debug, PartialEq, Eq)]
pub struct InvalidDuration;

impl fmt::Display for InvalidDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a duration such as 1s, 250ms or 1h2m3.5s")
    }
}

impl std::error::Error for InvalidDuration {}

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

/// The largest of Go, about 292 years.
const MAX_NANOS: f64 = i64::MAX as f64;

/// Go's `time.ParseDuration`; what is negative there is zero here.
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

/// A duration in a file, where a bare number is nanoseconds.
pub(super) fn from_node(node: &Node, name: &str, problems: &mut Problems) -> Option<Duration> {
    if let Kind::Scalar { text: Some(text), plain } = &node.kind {
        if let Ok(duration) = parse(text) {
            return Some(duration);
        }
        if *plain && let Ok(nanos) = text.parse::<i64>() {
            return Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
        }
    }
    problems.error(node, format!("{name}: {InvalidDuration}"));
    None
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
}
