//! The status page: HTML without scripts and without anything from elsewhere.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::plot::Plot;
use super::{CertificateStatus, Listener, RouteStatus, Status, UpstreamStatus};

/// The style, which the policy admits by its hash.
const STYLE: &str = include_str!("style.css");

/// The days before its end from which a certificate stands out: as for the warnings of `check`.
const SOON_DAYS: i64 = 14;

/// The policy of the page: it may load nothing, run nothing, and be framed by nobody.
pub static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// Renders the page.
pub fn render(status: &Status) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "exporter-guard status" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(status))
                main {
                    (traffic(status))
                    (listeners(status))
                    (certificates(status))
                    (routes(status))
                    (reloads(status))
                    (refusals(status))
                }
            }
        }
    };
    page.into_string()
}

fn header(status: &Status) -> Markup {
    html! {
        header {
            h1 { "exporter-guard " (status.version) }
            p.soft {
                "Configuration " (status.generation) " (" (status.hash) "), at " (time(status.now))
                ". Reload the page for newer numbers."
            }
            nav aria-label="Endpoints" {
                ul {
                    @for (path, name) in [
                        ("/metrics", "Metrics"),
                        ("/api/v1/status", "Status as JSON"),
                        ("/-/healthy", "Healthy"),
                        ("/-/ready", "Ready"),
                    ] {
                        li { a href=(path) { (name) } }
                    }
                }
            }
        }
    }
}

/// A table, or a sentence if it has no rows. Each cell repeats its column for narrow screens.
fn table(columns: &[&str], rows: Vec<Vec<Markup>>, nothing: &str) -> Markup {
    if rows.is_empty() {
        return html! { p.soft { (nothing) } };
    }
    html! {
        // The roles say what the elements are also where the style shows rows as blocks.
        table role="table" {
            thead role="rowgroup" {
                tr role="row" {
                    @for column in columns { th scope="col" role="columnheader" { (column) } }
                }
            }
            tbody role="rowgroup" {
                @for row in rows {
                    tr role="row" {
                        @for (column, cell) in columns.iter().zip(row) {
                            td role="cell" data-label=(column) { div { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn traffic(status: &Status) -> Markup {
    #[allow(clippy::cast_precision_loss, reason = "for a plot")]
    let rate = Plot {
        id: "rate",
        title: "Requests a minute",
        minutes: &status.minutes,
        bars: |minute| minute.requests as f64,
        line: |minute| minute.errors as f64,
        format: count,
        legend: ["all requests", "those that failed (status 500 and above)"],
    };
    let latency = Plot {
        id: "latency",
        title: "Latency",
        minutes: &status.minutes,
        bars: |minute| minute.mean_seconds,
        line: |minute| minute.longest_seconds,
        format: duration,
        legend: ["mean of the minute", "slowest request of the minute"],
    };
    html! {
        section aria-labelledby="traffic" {
            h2 id="traffic" { "The last hour" }
            div.plots {
                @for plot in [rate, latency] {
                    figure {
                        h3 { (plot.title) }
                        (plot.render())
                        figcaption { "Bars: " (plot.legend[0]) ". Line: " (plot.legend[1]) "." }
                    }
                }
            }
        }
    }
}

fn listeners(status: &Status) -> Markup {
    let row = |listener: &Listener| match &listener.tls {
        Some(tls) => vec![
            html! { (listener.address) },
            html! { span.good { "TLS " (tls.versions[0]) " to " (tls.versions[1]) } },
            html! { (if tls.http2 { "HTTP/1.1, HTTP/2" } else { "HTTP/1.1" }) },
            html! { (tls.client_certificates) },
        ],
        None => vec![
            html! { (listener.address) },
            html! { span.warn { "plaintext" } },
            html! { "HTTP/1.1" },
            html! { "none" },
        ],
    };
    let rows = status.listeners.iter().map(row).collect();
    let columns = ["Address", "Encryption", "Protocols", "Client certificates"];
    section("listeners", "Listeners", table(&columns, rows, "There are none."))
}

fn certificates(status: &Status) -> Markup {
    let days = |certificate: &CertificateStatus| match certificate.days_left {
        days if days < 0 => html! { span.bad { "expired" } },
        days if days < SOON_DAYS => html! { span.bad { (days) " days" } },
        days => html! { (days) " days" },
    };
    let row = |certificate: &CertificateStatus| {
        vec![
            html! { (certificate.usage.replace('_', " ")) },
            html! { (certificate.subject) },
            html! { (certificate.serial) },
            date(certificate.not_before),
            date(certificate.not_after),
            days(certificate),
        ]
    };
    let rows = status.certificates.iter().map(row).collect();
    let columns = ["Use", "Subject", "Serial number", "Valid from", "Valid until", "Left"];
    section("certificates", "Certificates", table(&columns, rows, "The guard uses none."))
}

fn routes(status: &Status) -> Markup {
    let upstream = |upstream: &UpstreamStatus| {
        html! {
            div {
                (upstream.address) " "
                @match upstream.up {
                    Some(true) => span.good { "up" },
                    Some(false) => span.bad { "down" @if let Some(cause) = upstream.cause { ": " (cause) } },
                    None => span.soft { "not asked yet" },
                }
            }
        }
    };
    let row = |route: &RouteStatus| {
        let mut cells = vec![
            html! { (route.name) },
            html! { @for entry in &route.upstreams { (upstream(entry)) } },
        ];
        cells.extend(match &route.last_request {
            Some(last) => [
                time(last.at),
                html! { (duration(last.seconds)) },
                html! { (last.bytes) " bytes, status " (last.status) },
                html! { (last.caller) },
            ],
            None => [(); 4].map(|()| html! { span.soft { "–" } }),
        });
        cells
    };
    let rows = status.routes.iter().map(row).collect();
    let columns = ["Route", "Upstreams", "Last request", "Took", "Answer", "Caller"];
    section("routes", "Routes", table(&columns, rows, "There are none."))
}

fn reloads(status: &Status) -> Markup {
    let rows = status.reloads.iter().map(|reload| {
        vec![
            time(reload.at),
            html! { (reload.generation) },
            match reload.successful {
                true => html! { span.good { "succeeded" } ", changed: " (reload.message) },
                false => html! { span.bad { "failed: " (reload.message) } },
            },
        ]
    });
    let columns = ["Time", "Configuration in force", "Result"];
    section("reloads", "Reloads", table(&columns, rows.collect(), "None since the start."))
}

fn refusals(status: &Status) -> Markup {
    let rows = status.refusals.iter().map(|refusal| {
        vec![
            html! { (refusal.reason) },
            html! { (refusal.address) },
            html! { (refusal.count) },
            time(refusal.last),
        ]
    });
    let columns = ["Reason", "Address", "Requests", "Last"];
    section("refusals", "Refusals", table(&columns, rows.collect(), "None since the start."))
}

fn section(id: &str, title: &str, content: Markup) -> Markup {
    html! { section aria-labelledby=(id) { h2 id=(id) { (title) } (content) } }
}

/// Shows a time in UTC.
fn time(seconds: f64) -> Markup {
    #[allow(clippy::cast_possible_truncation, reason = "seconds since the epoch")]
    let text = rfc3339(seconds as i64);
    let shown = text.replace('T', " ").replace('Z', " UTC");
    html! { time datetime=(text) { (shown) } }
}

fn date(seconds: i64) -> Markup {
    let text = rfc3339(seconds);
    html! { time datetime=(text) { (text.get(..10).unwrap_or_default()) } }
}

/// Formats a time; empty outside the years 0 to 9999.
fn rfc3339(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds <= 0.0 => "0".to_owned(),
        seconds if seconds < 0.001 => format!("{:.0} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{} ms", significant(seconds * 1e3)),
        seconds => format!("{} s", significant(seconds)),
    }
}

fn count(value: f64) -> String {
    significant(value)
}

/// Formats a number with one decimal if that says something.
fn significant(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}
