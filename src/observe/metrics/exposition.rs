//! The formats in which the metrics are served, and the choice of one by the `Accept` field.
//!
//! prometheus-client writes OpenMetrics only. The text format 0.0.4 is derived from that: the same
//! series, with the names and the types that `promtool check metrics` and older Prometheus know.

use std::fmt::Write as _;

/// A format of the exposition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// The type and the version of a format, for `Accept`.
const OPEN_METRICS: (&str, &str) = ("application/openmetrics-text", "1.0.0");
const TEXT: (&str, &str) = ("text/plain", "0.0.4");

/// One element of `Accept` (RFC 9110 section 12.5.1).
struct MediaRange<'a> {
    name: &'a str,
    /// The parameter `version`; `None`: any version.
    version: Option<&'a str>,
    /// The weight in thousandths.
    weight: u16,
}

impl Format {
    /// Chooses the format that a client prefers by the values of its `Accept` fields.
    ///
    /// OpenMetrics is for clients that name it; a wildcard, no field, and a field that has neither
    /// format get the text format. Between equal weights OpenMetrics is chosen. The parameter
    /// `escaping` of Prometheus 3 makes no difference, since every name is valid without UTF-8.
    pub fn negotiate<'a>(accept: impl Iterator<Item = &'a str>) -> Self {
        let mut open_metrics = None;
        // The weight of the text format comes from the most specific range that has it.
        let mut text: Option<(u8, u16)> = None;
        for range in accept.flat_map(elements).filter_map(MediaRange::parse) {
            if range.is(OPEN_METRICS) {
                open_metrics = open_metrics.max(Some(range.weight));
            }
            let specificity = match range.name.to_ascii_lowercase().as_str() {
                "*/*" => 1,
                "text/*" => 2,
                _ if range.is(TEXT) => 3,
                _ => continue,
            };
            text = text.max(Some((specificity, range.weight)));
        }
        let text = text.map_or(0, |(_, weight)| weight);
        match open_metrics {
            Some(weight) if weight > 0 && weight >= text => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    /// Returns the content type of this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl<'a> MediaRange<'a> {
    /// Parses one element; `None` for one that is malformed.
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().filter(|name| name.contains('/'))?;
        let (mut version, mut weight) = (None, 1000);
        for part in parts.filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=')?;
            match key.trim_end().to_ascii_lowercase().as_str() {
                "q" => weight = thousandths(value.trim_start())?,
                "version" => version = Some(value.trim_start().trim_matches('"')),
                _ => {}
            }
        }
        Some(Self { name, version, weight })
    }

    fn is(&self, (name, version): (&str, &str)) -> bool {
        self.name.eq_ignore_ascii_case(name) && self.version.is_none_or(|own| own == version)
    }
}

/// Splits a field at the commas that are not in quotes.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    let mut in_quotes = false;
    value.split(move |c| {
        in_quotes ^= c == '"';
        c == ',' && !in_quotes
    })
}

/// Parses a weight (RFC 9110 section 12.4.2): from 0 to 1, with up to three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

/// Turns OpenMetrics text of prometheus-client into the text format 0.0.4: there the suffix of a
/// counter belongs to the name of the family, information is a gauge, and units and the end are not
/// marked.
pub fn text_format(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) =
            line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            // Writing to a string does not fail.
            let _ = writeln!(text, "# HELP {name}{suffix} {help}");
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(accept: &str) -> Format {
        Format::negotiate(std::iter::once(accept))
    }

    #[test]
    fn the_text_format_is_for_all_who_do_not_name_open_metrics() {
        assert_eq!(Format::negotiate(std::iter::empty()), Format::Text);
        for accept in [
            "",
            "*/*",
            "application/*",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            "text/plain;version=1.0.0;escaping=allow-utf-8",
            "application/openmetrics-text;version=0.0.1",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.5,text/plain;version=0.0.4;q=0.501",
            "application/openmetrics-text;q=0.5,text/*",
            "application/openmetrics-text;q=0.5,*/*",
            // Malformed weights.
            "application/openmetrics-text;q=2",
            "application/openmetrics-text;q=-1",
            "application/openmetrics-text;q=0.1234",
            "application/openmetrics-text;q=",
            "application/openmetrics-text;q",
            // A comma in quotes separates nothing.
            "a/b;c=\",application/openmetrics-text;d=\"",
            "openmetrics-text",
        ] {
            assert_eq!(chosen(accept), Format::Text, "{accept}");
        }
    }

    #[test]
    fn prometheus_gets_open_metrics_by_the_weights_that_it_sends() {
        for accept in [
            // Prometheus 2.42.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;\
             version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            // Prometheus 3, and 3 with native histograms.
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,\
             text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;\
             escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            "Application/OpenMetrics-Text ; Version=\"1.0.0\" ; Q=1.000",
            "text/plain,application/openmetrics-text",
            "text/plain;q=0.3,application/openmetrics-text;q=0.5,*/*",
        ] {
            assert_eq!(chosen(accept), Format::OpenMetrics, "{accept}");
        }
        let fields = ["text/plain;q=0.1", "application/openmetrics-text;q=0.2"];
        assert_eq!(Format::negotiate(fields.into_iter()), Format::OpenMetrics);
    }

    #[test]
    fn the_text_format_has_the_names_and_types_of_its_own() {
        let open_metrics = "# HELP a Things done.\n# TYPE a counter\na_total{x=\"# HELP\"} 1\n\
                            # HELP b The build.\n# TYPE b info\nb_info{v=\"1\"} 1\n\
                            # HELP c_seconds A time.\n# TYPE c_seconds gauge\n\
                            # UNIT c_seconds seconds\nc_seconds 1.5\n# EOF\n";
        let text = "# HELP a_total Things done.\n# TYPE a_total counter\na_total{x=\"# HELP\"} 1\n\
                    # HELP b_info The build.\n# TYPE b_info gauge\nb_info{v=\"1\"} 1\n\
                    # HELP c_seconds A time.\n# TYPE c_seconds gauge\nc_seconds 1.5\n";
        assert_eq!(text_format(open_metrics), text);
    }
}
