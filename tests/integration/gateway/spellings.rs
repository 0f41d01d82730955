//! Paths that one program reads in one way and another in another: what a route lets through is
//! what the exporter sees, however it is written.

use super::*;

/// What could stand for `/`, `.` or a letter.
const SLASHES: [&str; 12] =
    ["/", "//", "\\", "%2f", "%2F", "%5c", "%252f", "/./", "/%2e/", "/x/../", "/;/", "%c0%af"];
const METRICS: [&str; 14] = [
    "metrics",
    "Metrics",
    "%6detrics",
    "metric%73",
    "metrics;",
    "metrics;a=b",
    "metrics%00",
    "metrics%20",
    "metrics.",
    "metrics/",
    "metrics/.",
    "metrics/x/..",
    "metrics%3fx",
    "m%C3%A9trics",
];
const BEFORE: [&str; 8] = ["", ".", "..", "%2e%2e", "x/..", ";x", "http:", "//a"];

#[test]
fn only_allowed_paths_reach_the_exporter_however_spelt() {
    let [open, closed] = [Exporter::new(), Exporter::new()];
    let guard = gateway(&format!(
        "
        - {{path: /open, upstreams: ['{open}']}}
        - {{path: /closed, upstreams: ['{closed}'], access: [{{networks: [192.0.2.1]}}]}}
        "
    ));
    let mut count = 0;
    let mut client = guard.connect();
    for first in SLASHES {
        for second in SLASHES {
            for metrics in METRICS {
                for route in ["open", "closed", "open/../closed", "OPEN"] {
                    let target = format!("{first}{route}{second}{metrics}");
                    if !target.starts_with('/') {
                        continue;
                    }
                    count += 1;
                    let before = open.requests().len();
                    let answer = match client.try_get_as(SCRAPER, &target) {
                        Ok(answer) => answer.status,
                        Err(_) => {
                            client = guard.connect();
                            0
                        }
                    };
                    let is_right = target == "/open/metrics";
                    assert_eq!(answer == 200, is_right, "{target}: {answer}");
                    assert!([0, 200, 400, 403, 404].contains(&answer), "{target}: {answer}");
                    assert_eq!(open.requests().len() - before, usize::from(is_right), "{target}");
                }
            }
        }
    }
    for before in BEFORE {
        let target = format!("/{before}/open/metrics");
        assert_ne!(status(&guard, &target), 200, "{target}");
        count += 1;
    }
    assert!(count >= 500, "{count}");
    assert_eq!(asked(&open), ["/metrics"]);
    assert_eq!(asked(&closed), Vec::<String>::new());
}

/// The absolute form is the same request (RFC 9112 section 3.2.2).
#[test]
fn the_absolute_form_is_checked_alike() {
    let exporter = Exporter::new();
    let guard = gateway(&format!("- {{path: /open, upstreams: ['{exporter}']}}\n"));
    let login = authorization(SCRAPER);
    let ask = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{login}\r\n");
        guard.connect().request(request).status
    };
    assert_eq!(ask("http://a/open/metrics?x"), 200);
    assert_eq!(ask("http://a/open/../open/metrics"), 400);
    assert_eq!(ask("http://a//open/metrics"), 400);
    assert_eq!(ask("http://a/open/debug"), 404);
    assert_eq!(asked(&exporter), ["/metrics?x"]);
}
