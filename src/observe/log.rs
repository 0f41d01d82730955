//! Log lines on stderr in the formats of Prometheus's programs, logfmt and JSON, with the time
//! first.
//!
//! Only the tracing events of this program are written. The messages of libraries through the `log`
//! crate are dropped at every level: pingora's debug messages quote request heads with credentials.

use std::fmt::{self, Write as _};

use clap::ValueEnum;
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::log_queue;

/// RFC 3339 in UTC, with milliseconds.
const TIME: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// The value of the field `suppressed` when no line was left out.
const NONE_SUPPRESSED: &str = "0";

/// The least severe level that is written (`--log.level`).
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// The most detailed messages
    Trace,
    /// Details for debugging
    Debug,
    /// Events of normal operation
    Info,
    /// Problems that the guard copes with
    Warn,
    /// Failures
    Error,
}

/// The format of a log line (`--log.format`).
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// KEY=VALUE pairs
    Logfmt,
    /// One JSON object per line
    Json,
}

/// Starts logging, for the rest of the process.
pub fn init(level: LogLevel, format: LogFormat) {
    let layer = Lines { format }.with_filter(filter(level));
    let subscriber = tracing_subscriber::registry().with(layer);
    // A subscriber is already set only in tests of this crate, which share a process; it stays.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    }
}

struct Lines {
    format: LogFormat,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with(env!("CARGO_CRATE_NAME")) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let time = OffsetDateTime::now_utc().format(TIME).unwrap_or_default();
        let mut pairs = vec![
            ("time", FieldValue::Text(time)),
            ("level", FieldValue::Text(metadata.level().to_string())),
            ("source", FieldValue::Text(metadata.target().to_owned())),
            ("msg", FieldValue::Text(fields.message)),
        ];
        pairs.append(&mut fields.pairs);
        let line = match self.format {
            LogFormat::Logfmt => logfmt(&pairs),
            LogFormat::Json => json(&pairs),
        };
        log_queue::write(line);
    }
}

enum FieldValue {
    Text(String),
    /// A number or boolean, without quotes in JSON.
    Bare(String),
}

#[derive(Default)]
struct Fields {
    message: String,
    pairs: Vec<(&'static str, FieldValue)>,
}

impl Fields {
    fn push(&mut self, field: &Field, value: FieldValue) {
        match (field.name(), value) {
            ("message", FieldValue::Text(text)) => self.message = text,
            // The number of lines left out before this one is written only if there were any.
            ("suppressed", FieldValue::Bare(count)) if count == NONE_SUPPRESSED => {}
            (name, value) => self.pairs.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.push(field, FieldValue::Text(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, FieldValue::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.push(field, FieldValue::Bare(value.to_string()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.push(field, FieldValue::Bare(value.to_string()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // What is not finite has no form in JSON; no line holds such a value.
        self.push(field, FieldValue::Bare(format!("{value:.6}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.push(field, FieldValue::Bare(value.to_string()));
    }
}

fn logfmt(pairs: &[(&'static str, FieldValue)]) -> String {
    let mut line = String::new();
    for (index, (key, value)) in pairs.iter().enumerate() {
        let separator = if index == 0 { "" } else { " " };
        let (FieldValue::Text(text) | FieldValue::Bare(text)) = value;
        // Writing to a string does not fail.
        let _ = match needs_quotes(text) {
            true => write!(line, "{separator}{key}={text:?}"),
            false => write!(line, "{separator}{key}={text}"),
        };
    }
    line.push('\n');
    line
}

/// Returns whether a value needs quotes, without which text from a client could look like another
/// field or line.
fn needs_quotes(text: &str) -> bool {
    text.is_empty()
        || text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\'))
}

fn json(pairs: &[(&'static str, FieldValue)]) -> String {
    let mut line = String::from("{");
    for (index, (key, value)) in pairs.iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        let _ = match value {
            FieldValue::Bare(text) => write!(line, "{separator}\"{key}\":{text}"),
            FieldValue::Text(text) => {
                write!(line, "{separator}\"{key}\":{}", serde_json::Value::from(text.as_str()))
            }
        };
    }
    line.push_str("}\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<(&'static str, FieldValue)> {
        vec![
            ("msg", FieldValue::Text("a \"b\"\nlevel=ERROR".to_owned())),
            ("plain", FieldValue::Text("x".to_owned())),
            ("n", FieldValue::Bare("1".to_owned())),
        ]
    }

    #[test]
    fn logfmt_quotes_text_that_could_look_like_a_field() {
        assert_eq!(logfmt(&pairs()), "msg=\"a \\\"b\\\"\\nlevel=ERROR\" plain=x n=1\n");
    }

    #[test]
    fn json_lines_are_valid_json() {
        let parsed: serde_json::Value = serde_json::from_str(&json(&pairs())).unwrap();
        assert_eq!(parsed["msg"], "a \"b\"\nlevel=ERROR");
        assert_eq!(parsed["n"], 1);
    }
}
