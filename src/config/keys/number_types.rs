//! The types of values that are booleans, numbers and durations.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::declaration::ValueType;
use super::value::Value;
use crate::config::duration;
use crate::config::yaml::NodeContent;

/// A boolean in YAML 1.1's spellings.
pub struct Boolean {
    default: bool,
}

impl Boolean {
    /// Declares a boolean.
    pub const fn new(default: bool) -> Self {
        Self { default }
    }

    /// Returns the value without the key.
    pub const fn default(&self) -> bool {
        self.default
    }
}

/// The booleans of YAML 1.1 that YAML 1.2, which editors read, takes for strings.
const YAML11_BOOLEANS: [&str; 16] = [
    "yes", "Yes", "YES", "no", "No", "NO", "on", "On", "ON", "off", "Off", "OFF", "y", "Y", "n",
    "N",
];

impl ValueType for Boolean {
    type Value<'a> = bool;

    fn read<'a>(&self, value: Value<'a>) -> Option<bool> {
        value.boolean()
    }

    fn schemas(&self) -> Vec<Json> {
        vec![json!({"type": "boolean"}), json!({"enum": YAML11_BOOLEANS})]
    }

    fn describe(&self) -> String {
        "boolean".to_owned()
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }
}

/// A whole number.
pub struct Integer<T> {
    range: RangeInclusive<i64>,
    default: T,
    unit: &'static str,
}

impl<T: Copy> Integer<T> {
    /// Declares a number in a range, both ends included.
    pub const fn new(range: RangeInclusive<i64>, default: T, unit: &'static str) -> Self {
        Self { range, default, unit }
    }

    /// Returns the value without the key.
    pub const fn default(&self) -> T {
        self.default
    }

    fn is_bounded(&self) -> bool {
        self.range != (i64::MIN..=i64::MAX)
    }
}

/// The numbers of YAML 1.1 that YAML 1.2 takes for strings.
const YAML11_INTEGER: &str = "^[-+]?(0b[01_]+|[0-9]+_[0-9_]*|0x[0-9a-fA-F]*_[0-9a-fA-F_]*)$";

impl<T: TryFrom<i64> + Copy + Display + Sync> ValueType for Integer<T> {
    type Value<'a> = T;

    fn read<'a>(&self, value: Value<'a>) -> Option<T> {
        let number = value.integer()?;
        let in_range = T::try_from(number).ok().filter(|_| self.range.contains(&number));
        if in_range.is_none() {
            value.error(format!("expected {} to {}", self.range.start(), self.range.end()));
        }
        in_range
    }

    fn schemas(&self) -> Vec<Json> {
        let mut number = json!({"type": "integer"});
        if self.is_bounded() {
            number["minimum"] = json!(self.range.start());
            number["maximum"] = json!(self.range.end());
        }
        vec![number, json!({"type": "string", "pattern": YAML11_INTEGER})]
    }

    fn describe(&self) -> String {
        let unit = if self.unit.is_empty() { "" } else { " " };
        let range = match self.is_bounded() {
            true => format!(", {} to {}{unit}{}", self.range.start(), self.range.end(), self.unit),
            false => String::new(),
        };
        format!("integer{range}")
    }

    fn default_text(&self) -> Option<String> {
        Some(self.default.to_string())
    }
}

/// A duration as Go writes it: `1s`, `250ms`, `1h2m3.5s`.
pub struct GoDuration {
    default: Option<Duration>,
    must_be_positive: bool,
    max: Duration,
    /// True if a bare number is taken for nanoseconds, as the exporter-toolkit does.
    takes_nanoseconds: bool,
}

impl GoDuration {
    /// Declares a duration of more than 0.
    pub const fn positive(default: Option<Duration>) -> Self {
        Self { default, must_be_positive: true, max: Duration::MAX, takes_nanoseconds: true }
    }

    /// Declares a duration that may be 0, which is the default, and for which a negative one counts.
    pub const fn any() -> Self {
        let default = Some(Duration::ZERO);
        Self { default, must_be_positive: false, max: Duration::MAX, takes_nanoseconds: true }
    }

    /// Declares a duration of 0, which is the default, to `max`, with its unit.
    pub const fn at_most(max: Duration) -> Self {
        let default = Some(Duration::ZERO);
        Self { default, must_be_positive: false, max, takes_nanoseconds: false }
    }

    /// Returns the value without the key.
    pub const fn default(&self) -> Option<Duration> {
        self.default
    }
}

impl ValueType for GoDuration {
    type Value<'a> = Duration;

    fn read<'a>(&self, value: Value<'a>) -> Option<Duration> {
        let parsed = match &value.node().content {
            NodeContent::Scalar { text, plain } => duration::parse(text).or_else(|error| {
                let nanos = text.parse::<i64>().ok().filter(|_| *plain && self.takes_nanoseconds);
                let nanos = nanos.map(|nanos| u64::try_from(nanos).unwrap_or(0));
                nanos.map(Duration::from_nanos).ok_or(error)
            }),
            _ => Err(duration::InvalidDuration),
        };
        match parsed {
            Ok(zero) if zero.is_zero() && self.must_be_positive => {
                value.error("must be more than 0");
                None
            }
            Ok(long) if long > self.max => {
                value.error(format!("at most {}", duration::display(self.max)));
                None
            }
            Ok(duration) => Some(duration),
            Err(error) => {
                value.error(error);
                None
            }
        }
    }

    fn schemas(&self) -> Vec<Json> {
        let mut text = json!({"type": "string", "pattern": format!("^({})$", duration::PATTERN)});
        let mut number = json!({"type": "integer"});
        if self.must_be_positive {
            text["not"] = json!({"pattern": format!("^({})$", duration::ZERO_PATTERN)});
            number["minimum"] = json!(1);
        }
        if !self.takes_nanoseconds {
            // Zero has no unit.
            number = json!({"const": 0});
        }
        vec![text, number]
    }

    fn describe(&self) -> String {
        let max = self.max != Duration::MAX;
        let range = match (self.must_be_positive, max) {
            (true, _) => ", more than 0".to_owned(),
            (false, true) => format!(", at most {}", duration::display(self.max)),
            (false, false) => String::new(),
        };
        format!("duration{range}")
    }

    fn default_text(&self) -> Option<String> {
        self.default.map(duration::display)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn each_boolean_of_the_schema_is_one() {
        assert!(YAML11_BOOLEANS.iter().all(|text| yaml::boolean(text).is_some()));
    }
}
