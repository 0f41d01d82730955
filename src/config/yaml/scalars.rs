//! Scalars by the rules of YAML 1.1, as go yaml.v2 reads them.

/// Reads a boolean: `true`, `yes`, `on`, `y` and their opposites, each in lower, upper or title case.
pub fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let title = || text.starts_with(|c: char| c.is_ascii_uppercase()) && text[1..] == lower[1..];
    let usual_case = text == lower || text == text.to_ascii_uppercase() || title();
    match lower.as_str() {
        "true" | "yes" | "on" | "y" if usual_case => Some(true),
        "false" | "no" | "off" | "n" if usual_case => Some(false),
        _ => None,
    }
}

/// Returns whether it is a word that YAML 1.1 takes for a boolean and YAML 1.2 does not.
pub fn is_yaml11_boolean(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "y" | "n" | "yes" | "no" | "on" | "off")
}

/// Reads a whole number: decimal, `0x` hexadecimal, `0` or `0o` octal, `0b` binary, with `_` between
/// digits.
pub fn integer(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok().map(|value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_of_yaml_1_1() {
        for (text, value) in [
            ("true", Some(true)),
            ("Yes", Some(true)),
            ("ON", Some(true)),
            ("y", Some(true)),
            ("False", Some(false)),
            ("off", Some(false)),
            ("NO", Some(false)),
            ("N", Some(false)),
            ("tRue", None),
            ("oN", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(boolean(text), value, "{text}");
        }
    }

    #[test]
    fn integers_of_yaml_1_1() {
        for (text, value) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("-3", Some(-3)),
            ("1_000", Some(1000)),
            ("0x10", Some(16)),
            ("010", Some(8)),
            ("0b11", Some(3)),
            ("", None),
            ("1.5", None),
            ("x", None),
            ("--1", None),
        ] {
            assert_eq!(integer(text), value, "{text}");
        }
    }
}
