//! The access log: one line for each request that has ended (`--log.access`).

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

use clap::ValueEnum;

use super::log_line::Line;
use super::metrics::CallerKind;
use super::{LogThrottle, log, log_queue};

/// The bytes of a path that are logged: longer than any path of an exporter, and short enough that a
/// client cannot fill the log by a few requests.
const MAX_PATH: usize = 256;

/// The status from which a request counts as failed.
const FIRST_FAILURE: u16 = 400;

/// The requests that the access log has a line for (`--log.access`).
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessLogMode {
    /// None
    Off,
    /// Requests that fail, limited to one line a second of a kind after the first twenty
    #[default]
    Failures,
    /// Every one
    All,
}

/// Writes the access log.
#[derive(Debug, Default)]
pub struct AccessLog {
    mode: AccessLogMode,
    failures: LogThrottle,
}

/// Everything that a line of the access log says. The query is not part of it, since it may hold
/// secrets.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// The client; `None` on a unix socket.
    pub client: Option<SocketAddr>,
    /// The name of the listener.
    pub listener: &'a str,
    /// The authenticated caller.
    pub caller: Option<(CallerKind, &'a str)>,
    /// The name of the route.
    pub route: Option<&'a str>,
    /// The method.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The status; 0 when the client left before there was one.
    pub status: u16,
    /// The bytes of the answer's body.
    pub bytes: usize,
    /// The time since the head of the request.
    pub duration: Duration,
    /// The part of it in which the exporter had the request.
    pub upstream_duration: Option<Duration>,
    /// The TLS version; `None` in plaintext.
    pub tls: Option<&'static str>,
    /// The value of the field `traceparent`.
    pub traceparent: Option<&'a str>,
}

impl AccessLog {
    /// Logs the requests that `mode` names.
    pub fn new(mode: AccessLogMode) -> Self {
        Self { mode, failures: LogThrottle::default() }
    }

    /// Writes the line of a request, if it is to be logged.
    pub fn write(&self, line: &AccessLine<'_>) {
        let suppressed = match self.mode {
            AccessLogMode::Off => return,
            AccessLogMode::All => 0,
            AccessLogMode::Failures => match failure(line.status) {
                Some(kind) => match self.failures.admit(kind) {
                    Some(suppressed) => suppressed,
                    None => return,
                },
                None => return,
            },
        };
        if let Some(mut text) = log::begin_info(module_path!(), "Request") {
            line.append_to(&mut text);
            if suppressed > 0 {
                text.bare("suppressed", format_args!("{suppressed}"));
            }
            log_queue::write(text.end());
        }
    }
}

impl AccessLine<'_> {
    fn append_to(&self, text: &mut Line) {
        match self.client {
            // An address needs no quotes in logfmt, and no escapes in JSON.
            Some(client) => text.quoted("client", format_args!("{client}")),
            None => text.text("client", "unix"),
        }
        text.text("listener", self.listener);
        if let Some((kind, name)) = self.caller {
            text.text(kind.name(), name);
        }
        if let Some(route) = self.route {
            text.text("route", route);
        }
        text.text("method", self.method);
        text.text("path", &shortened(self.path));
        text.bare("status", format_args!("{}", self.status));
        text.bare("bytes", format_args!("{}", self.bytes));
        text.seconds("duration_seconds", self.duration);
        if let Some(duration) = self.upstream_duration {
            text.seconds("upstream_seconds", duration);
        }
        if let Some(version) = self.tls {
            text.text("tls", version);
        }
        if let Some((trace, span)) = self.traceparent.and_then(trace_ids) {
            text.text("trace_id", trace);
            text.text("span_id", span);
        }
    }
}

/// Returns the kind of a failure, by which lines are limited; `None` if the request has succeeded.
fn failure(status: u16) -> Option<&'static str> {
    match status {
        0 => Some("client gone"),
        500.. => Some("server error"),
        FIRST_FAILURE.. => Some("client error"),
        _ => None,
    }
}

fn shortened(path: &str) -> Cow<'_, str> {
    if path.len() <= MAX_PATH {
        return path.into();
    }
    let end = (0..=MAX_PATH).rev().find(|end| path.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", &path[..end]).into()
}

/// Returns the ids of the trace and of the parent span (W3C Trace Context, section 3.2.2); `None`
/// for a value that is not of that form.
fn trace_ids(traceparent: &str) -> Option<(&str, &str)> {
    let mut parts = traceparent.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set = |text: &str| text.bytes().any(|byte| byte != b'0');
    // Later versions may have more parts.
    let has_end = version != "00" || parts.next().is_none();
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && is_hex(span, 16)
        && is_hex(flags, 2)
        && is_set(trace)
        && is_set(span)
        && has_end;
    is_valid.then_some((trace, span))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn only_a_valid_traceparent_has_ids() {
        let valid = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(trace_ids(&valid), Some((TRACE, SPAN)));
        assert_eq!(trace_ids(&format!("01-{TRACE}-{SPAN}-01-more")), Some((TRACE, SPAN)));
        for invalid in [
            String::new(),
            format!("{valid}-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}\n-01"),
        ] {
            assert_eq!(trace_ids(&invalid), None, "{invalid}");
        }
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        assert_eq!(shortened("/metrics"), "/metrics");
        let long = format!("/{}", "ä".repeat(MAX_PATH));
        assert_eq!(shortened(&long), format!("/{}…", "ä".repeat((MAX_PATH - 1) / 2)));
    }

    #[test]
    fn failures_are_what_the_client_did_not_want() {
        assert!([200, 204, 301, 304].iter().all(|status| failure(*status).is_none()));
        assert!([0, 400, 401, 499, 500, 504].iter().all(|status| failure(*status).is_some()));
    }
}
