//! Log lines on stderr in the formats of Prometheus's programs, logfmt and JSON, with the time
//! first.
//!
//! Only the tracing events of this program are written. The messages of libraries through the `log`
//! crate are dropped at every level: pingora's debug messages quote request heads with credentials.

use std::fmt;
use std::sync::OnceLock;

use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::log_line::Line;
use super::log_queue;

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

/// The format of the lines that are written without an event of tracing.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Begins a line of the level INFO without an event of tracing, whose fields cost several times as
/// much; `None` if lines of that level are not written.
pub fn begin_info(source: &str, message: &str) -> Option<Line> {
    let format = *FORMAT.get()?;
    let is_written = LevelFilter::current() >= LevelFilter::INFO;
    is_written.then(|| Line::begin(format, "INFO", source, message))
}

/// Starts logging, for the rest of the process.
pub fn init(level: LogLevel, format: LogFormat) {
    let _ = FORMAT.set(format);
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
        let level = metadata.level().as_str();
        let mut line = Line::begin(self.format, level, metadata.target(), &fields.message);
        for (key, value) in &fields.pairs {
            match value {
                FieldValue::Text(text) => line.text(key, text),
                FieldValue::Bare(text) => line.bare(key, format_args!("{text}")),
            }
        }
        log_queue::write(line.end());
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
