//! One log line, in logfmt or JSON.

use std::fmt::{Arguments, Write as _};
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::LogFormat;

/// RFC 3339 in UTC, with milliseconds.
const TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The space that most lines fit into, so that it is allocated once.
const USUAL_BYTES: usize = 512;

/// A line that is being written.
pub struct Line {
    format: LogFormat,
    text: String,
}

impl Line {
    /// Begins a line with the time, the level, the source and the message.
    pub fn begin(format: LogFormat, level: &str, source: &str, message: &str) -> Self {
        let mut line = Self { format, text: String::with_capacity(USUAL_BYTES) };
        if format == LogFormat::Json {
            line.text.push('{');
        }
        let mut time = [0; 32];
        let mut rest = time.as_mut_slice();
        // The buffer is long enough for every year of four digits.
        let written = OffsetDateTime::now_utc().format_into(&mut rest, TIME).unwrap_or_default();
        line.text("time", std::str::from_utf8(&time[..written]).unwrap_or_default());
        line.text("level", level);
        line.text("source", source);
        line.text("msg", message);
        line
    }

    /// Adds a field of text, in quotes where they are needed.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        // Writing to a string does not fail.
        let _ = match self.format {
            LogFormat::Logfmt if needs_quotes(value) => write!(self.text, "{value:?}"),
            LogFormat::Logfmt => self.text.write_str(value),
            LogFormat::Json if is_plain(value) => write!(self.text, "\"{value}\""),
            LogFormat::Json => write!(self.text, "{}", serde_json::Value::from(value)),
        };
    }

    /// Adds a number or a boolean, which has no quotes in JSON.
    pub fn bare(&mut self, key: &str, value: Arguments<'_>) {
        self.key(key);
        let _ = self.text.write_fmt(value);
    }

    /// Adds a value that needs no escapes, as text.
    pub fn quoted(&mut self, key: &str, value: Arguments<'_>) {
        self.key(key);
        let quote = if self.format == LogFormat::Json { "\"" } else { "" };
        let _ = write!(self.text, "{quote}{value}{quote}");
    }

    /// Adds a duration in seconds, with microseconds.
    pub fn seconds(&mut self, key: &str, value: Duration) {
        self.bare(key, format_args!("{}.{:06}", value.as_secs(), value.subsec_micros()));
    }

    /// Ends the line, and returns it.
    pub fn end(mut self) -> String {
        self.text.push_str(if self.format == LogFormat::Json { "}\n" } else { "\n" });
        self.text
    }

    fn key(&mut self, key: &str) {
        match self.format {
            LogFormat::Logfmt => {
                if !self.text.is_empty() {
                    self.text.push(' ');
                }
                self.text.push_str(key);
                self.text.push('=');
            }
            LogFormat::Json => {
                self.text.push_str(if self.text.len() > 1 { ",\"" } else { "\"" });
                self.text.push_str(key);
                self.text.push_str("\":");
            }
        }
    }
}

/// Returns whether a text is the same in JSON.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\')
}

/// Returns whether a value needs quotes, without which text from a client could look like another
/// field or line.
fn needs_quotes(text: &str) -> bool {
    // The characters of most values, in less time than the classes of Unicode take.
    let is_usual = |byte: u8| matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'=' | b'\\');
    if !text.is_empty() && text.bytes().all(is_usual) {
        return false;
    }
    text.is_empty()
        || text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(format: LogFormat) -> String {
        let mut line = Line::begin(format, "WARN", "s", "a \"b\"\nlevel=ERROR");
        line.text("plain", "x");
        line.text("umlaut", "ä\u{1b}");
        line.bare("n", format_args!("{}", 1));
        line.end()
    }

    #[test]
    fn logfmt_quotes_text_that_could_look_like_a_field() {
        let expected = " level=WARN source=s msg=\"a \\\"b\\\"\\nlevel=ERROR\" plain=x \
                        umlaut=\"ä\\u{1b}\" n=1\n";
        let line = line(LogFormat::Logfmt);
        assert!(line.starts_with("time=20") && line.ends_with(expected), "{line}");
    }

    #[test]
    fn json_lines_are_valid_json() {
        let parsed: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(parsed["msg"], "a \"b\"\nlevel=ERROR");
        assert_eq!((&parsed["n"], &parsed["umlaut"]), (&1.into(), &"ä\u{1b}".into()));
        assert_eq!(parsed["time"].as_str().map(str::len), Some(24));
    }
}
