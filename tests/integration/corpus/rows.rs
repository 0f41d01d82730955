//! YAML itself, `http_server_config`, `basic_auth_users` and `rate_limit`.

use super::{Oracles, Row, Verdict, bad, good, good_as_it_is, warns};
use crate::support::{indented, yaml};

/// Of the password "example".
pub const HASH: &str = "$2b$10$9Fc4jSoBxdWS0J0qV5HLfukIUwW9CKiPH..3DwPrMKM6.3TkNeGD2";
/// One line.
pub const TLS: &str = "tls_server_config: {cert_file: ec.crt, key_file: ec.key}\n";

const NO_RATE_LIMIT: &str = "toolkit 0.8 has no rate_limit";

pub fn rows() -> Vec<Row> {
    [syntax(), open(), http(), users(), rate_limit()].into_iter().flatten().collect()
}

fn syntax() -> Vec<Row> {
    vec![
        good(
            "empty sections",
            yaml(
                "
                tls_server_config: {}
                http_server_config: {}
                basic_auth_users: {}
                ",
            ),
        ),
        good("a byte-order mark", format!("\u{feff}basic_auth_users: {{a: '{HASH}'}}\n{TLS}")),
        bad(
            "a key further left than the first",
            2,
            "expected <document start>",
            format!(" {TLS}basic_auth_users: {{a: '{HASH}'}}\n"),
        )
        .differ("go yaml.v2 does not look at what follows"),
        good("CRLF line ends", "http_server_config:\r\n  http2: false\r\n"),
        good_as_it_is(
            "a second document does not count",
            TLS.to_owned()
                + &yaml(
                    "
                    basic_auth_users: {}
                    ---
                    nonsense: [
                    ",
                ),
        ),
        good_as_it_is("flow style", "{basic_auth_users: {}, tls_server_config: {}}\n"),
        good_as_it_is("JSON", "{\"basic_auth_users\": {}, \"tls_server_config\": {}}\n"),
        good(
            "an anchor and an alias",
            format!("{TLS}basic_auth_users: {{a: &h '{HASH}', b: *h}}\n"),
        ),
        good_as_it_is("a document end", format!("{TLS}basic_auth_users: {{}}\n...\n")),
        good(
            "a YAML directive",
            yaml(
                "
                %YAML 1.1
                ---
                http_server_config: {http2: off}
                ",
            ),
        ),
        bad("not YAML", 2, "", "{\n"),
        bad("a tab for indentation", 2, "", "http_server_config:\n\thttp2: true\n"),
        bad(
            "a list at the top",
            1,
            "expected a mapping",
            yaml(
                "
                - a
                - b
                ",
            ),
        ),
        bad("a scalar at the top", 1, "expected a mapping", "nonsense\n"),
        bad("an unknown section", 1, "unknown key \"nonsense\"", "nonsense: 1\n"),
        bad("a section in another case", 1, "unknown key", "TLS_server_config: {}\n"),
        bad(
            "a duplicate section",
            2,
            "duplicate key",
            yaml(
                "
                http_server_config: {}
                http_server_config: {}
                ",
            ),
        ),
        bad(
            "a section that is a list",
            2,
            "expected a mapping",
            yaml(
                "
                tls_server_config:
                  - a
                ",
            ),
        ),
        bad(
            "a section that is a string",
            1,
            "expected a mapping",
            "http_server_config: yes please\n",
        ),
        bad("an unknown alias", 1, "", "http_server_config: *nowhere\n"),
        bad("an unclosed quote", 2, "", "http_server_config: {headers: {X-Frame-Options: \"deny\n"),
    ]
}

/// Files that ask nobody for anything, as one does that is cut or was never finished.
fn open() -> Vec<Row> {
    const MEAN_IT: &str = "to mean it, write `basic_auth_users: {}` and `tls_server_config: {}`";
    const NO_VALUE: &str = "has no value, and half a file looks like this";
    let mut rows = vec![
        bad("an empty file", 1, MEAN_IT, ""),
        bad("comments alone", 3, MEAN_IT, "# nothing\n# more\n"),
        bad("a document start alone", 2, MEAN_IT, "---\n"),
        bad("null", 1, MEAN_IT, "null\n"),
        bad("a tilde", 1, MEAN_IT, "~\n"),
        bad("an empty mapping", 1, MEAN_IT, "{}\n"),
        bad("no users, and no word of TLS", 1, MEAN_IT, "basic_auth_users: {}\n"),
        bad("no TLS, and no word of users", 1, MEAN_IT, "tls_server_config: {}\n"),
        bad("HTTP alone", 1, MEAN_IT, "http_server_config: {http2: false}\n"),
        bad("null TLS", 1, NO_VALUE, "tls_server_config:\nbasic_auth_users: {}\n"),
        bad("null users", 2, NO_VALUE, TLS.to_owned() + "basic_auth_users: ~\n"),
        bad("a null rate limit", 2, NO_VALUE, TLS.to_owned() + "rate_limit:\n"),
        bad("a null proxy section", 2, NO_VALUE, TLS.to_owned() + "proxy:\n"),
        bad(
            "a null certificate",
            2,
            NO_VALUE,
            yaml(
                "
                tls_server_config:
                  cert_file:
                  key_file: ec.key
                ",
            ),
        ),
        bad(
            "null names of clients",
            2,
            NO_VALUE,
            yaml(
                "
                tls_server_config:
                  client_allowed_sans:
                  cert_file: ec.crt
                  key_file: ec.key
                ",
            ),
        ),
    ];
    // The exporters that are asked do not know these keys, or miss the certificate.
    let agreed = [
        "a null rate limit",
        "a null proxy section",
        "a null certificate",
        "null names of clients",
    ];
    for row in rows.iter_mut().filter(|row| !agreed.contains(&row.name)) {
        row.oracles = Oracles::Differ("an exporter serves everybody");
    }
    let of_clients = |kind: &str| {
        let client = format!("client_auth_type: {kind}, cert_file: ec.crt, key_file: ec.key");
        format!("tls_server_config: {{{client}}}\n")
    };
    let warns =
        |name, text, yaml| Row { verdict: Verdict::Warns(text), ..good_as_it_is(name, yaml) };
    rows.extend([
        warns("TLS alone", "TLS alone asks nobody for anything", TLS.to_owned()),
        warns(
            "certificates that may be left out",
            "may leave its certificate out",
            of_clients("RequestClientCert"),
        ),
        warns(
            "certificates that nobody verifies",
            "a certificate that nobody verifies",
            of_clients("RequireAnyClientCert"),
        ),
    ]);
    rows
}

fn http() -> Vec<Row> {
    let header = |line: &str| {
        yaml(&format!(
            "
            http_server_config:
              headers:
                {line}
            "
        ))
    };
    let http2 = |value: &str| {
        yaml(&format!(
            "
            http_server_config:
              http2: {value}
            "
        ))
    };
    vec![
        good("http2 off", http2("false")),
        good("http2 in YAML 1.1: no", http2("no")),
        good("http2 in YAML 1.1: Off", http2("Off")),
        good("http2 in YAML 1.1: y", http2("y")),
        good("http2 in YAML 1.1: YES", http2("YES")),
        good("http2 null", http2("~")),
        bad("http2 as a quoted string", 2, "expected true or false", http2("\"true\"")),
        bad("http2 as a quoted YAML 1.1 word", 2, "expected true or false", http2("'yes'")),
        bad("http2 as a number", 2, "expected true or false", http2("1")),
        bad("http2 in odd case", 2, "expected true or false", http2("tRue")),
        bad("http2 as a list", 2, "expected true or false", http2("[true]")),
        bad(
            "an unknown key for http",
            2,
            "unknown key \"http3\"",
            yaml(
                "
                http_server_config:
                  http3: true
                ",
            ),
        ),
        bad(
            "http2 twice",
            3,
            "duplicate key",
            yaml(
                "
                http_server_config:
                  http2: true
                  http2: true
                ",
            ),
        ),
        good("frame options deny", header("X-Frame-Options: deny")),
        good("frame options sameorigin", header("X-Frame-Options: sameorigin")),
        good("nosniff", header("X-Content-Type-Options: nosniff")),
        good(
            "transport security",
            header("Strict-Transport-Security: max-age=31536000; includeSubDomains"),
        ),
        good("content security policy", header("Content-Security-Policy: \"default-src 'self'\"")),
        good("XSS protection as a number", header("X-XSS-Protection: 0")),
        good(
            "no headers",
            yaml(
                "
                http_server_config:
                  headers: {}
                ",
            ),
        ),
        good(
            "null headers",
            yaml(
                "
                http_server_config:
                  headers:
                ",
            ),
        ),
        bad(
            "frame options in another case",
            3,
            "expected deny or sameorigin",
            header("X-Frame-Options: DENY"),
        ),
        bad("frame options empty", 3, "expected deny or sameorigin", header("X-Frame-Options: ''")),
        bad("sniff", 3, "expected nosniff", header("X-Content-Type-Options: sniff")),
        bad(
            "a header that is not among the five",
            3,
            "cannot be configured",
            header("X-Powered-By: guard"),
        ),
        bad(
            "a header name in another case",
            3,
            "cannot be configured",
            header("x-frame-options: deny"),
        ),
        bad(
            "headers as a list",
            2,
            "expected a mapping",
            yaml(
                "
                http_server_config:
                  headers: [a]
                ",
            ),
        ),
        bad("a header with a list", 3, "expected a string", header("X-XSS-Protection: [a]")),
    ]
}

fn users() -> Vec<Row> {
    let user = |line: &str| format!("{TLS}basic_auth_users:\n") + &indented(2, line);
    let with = |version: &str, rest: &str| user(&format!("a: {version}{rest}"));
    let rest = &HASH[3..];
    vec![
        good("one user", user(&format!("a: {HASH}"))),
        good("a quoted hash", user(&format!("a: '{HASH}'"))),
        good("version 2a", with("$2a", rest)),
        good("version 2y", with("$2y", rest)),
        good("version 2x", with("$2x", rest)),
        good("version 2", with("$2", rest)),
        good("a hash too long, which no password matches", user(&format!("a: {HASH}xx"))),
        good("a user named by a number", user(&format!("007: {HASH}"))),
        good("a user named true", user(&format!("true: {HASH}"))),
        good("a user with an empty name", user(&format!("'': {HASH}"))),
        good("a user with spaces and colons", user(&format!("'a b:c': {HASH}"))),
        good("a user in another script", user(&format!("Zoë: {HASH}"))),
        warns(
            "users without TLS",
            "without TLS",
            yaml(&format!(
                "
                basic_auth_users:
                  a: {HASH}
                "
            )),
        ),
        warns("cost 4", "cost 4 is weak", user(&format!("a: $2b$04{}", &HASH[6..]))),
        warns("cost 31", "cost 31 is very high", user(&format!("a: $2b$31{}", &HASH[6..]))),
        bad("cost 3", 3, "cost is not 04 to 31", user(&format!("a: $2b$03{}", &HASH[6..]))),
        bad("cost 32", 3, "cost is not 04 to 31", user(&format!("a: $2b$32{}", &HASH[6..]))),
        bad(
            "a cost that is no number",
            3,
            "cost is not",
            user(&format!("a: $2b$xx{}", &HASH[6..])),
        ),
        bad("a password in clear", 3, "too short", user("a: secret")),
        bad(
            "a long password in clear",
            3,
            "not a bcrypt hash",
            user(&format!("a: {}", "x".repeat(60))),
        ),
        bad("an MD5 hash", 3, "too short", user("a: $apr1$a$b")),
        bad(
            "a SHA-512 hash",
            3,
            "not a bcrypt hash",
            user(&format!("a: $6$salt${}", "x".repeat(60))),
        ),
        bad("bcrypt version 3", 3, "not a bcrypt hash", user(&format!("a: $3b{rest}"))),
        bad("an empty hash", 3, "too short", user("a: ''")),
        bad("a null hash", 3, "too short", user("a:")),
        bad("a hash one character short", 3, "too short", user(&format!("a: {}", &HASH[..58]))),
        bad("users as a list", 3, "expected a mapping", user(&format!("- a: {HASH}"))),
        bad("a list of hashes", 3, "expected a string", user(&format!("a: [{HASH}]"))),
        bad(
            "a user twice",
            4,
            "duplicate key",
            TLS.to_owned()
                + &yaml(&format!(
                    "
                    basic_auth_users:
                      a: {HASH}
                      a: {HASH}
                    "
                )),
        ),
        bad(
            "the second of two users is broken",
            4,
            "basic_auth_users.b",
            TLS.to_owned()
                + &yaml(&format!(
                    "
                    basic_auth_users:
                      a: {HASH}
                      b: x
                    "
                )),
        ),
    ]
}

fn rate_limit() -> Vec<Row> {
    let limit = |interval: &str, burst: &str| {
        yaml(&format!(
            "
            rate_limit:
              interval: {interval}
              burst: {burst}
            "
        ))
    };
    let mut rows = vec![
        good("a rate limit", limit("1s", "5")),
        good("a rate limit in milliseconds", limit("250ms", "1")),
        good("a compound interval", limit("1h2m3.5s", "1")),
        good("an interval in microseconds", limit("100µs", "1000")),
        good("an interval in nanoseconds", limit("1000000", "1")),
        good("an interval of zero", limit("0", "0")),
        good("a negative interval is none", limit("-1s", "0")),
        good("no rate limit at all", "rate_limit: {}\n"),
        warns("a burst of zero", "refuses every request", limit("1s", "0")),
        bad("an interval without unit", 2, "expected a duration", limit("1.5", "1")),
        bad("an interval in days", 2, "expected a duration", limit("1d", "1")),
        bad("a burst in words", 3, "expected a whole number", limit("1s", "five")),
        bad("a quoted burst", 3, "expected a whole number", limit("1s", "'5'")),
        bad(
            "an unknown key for the rate limit",
            2,
            "unknown key",
            yaml(
                "
                rate_limit:
                  rate: 5
                ",
            ),
        ),
    ];
    for row in &mut rows {
        if row.verdict.accepts() {
            row.oracles = Oracles::Differ(NO_RATE_LIMIT);
        }
    }
    rows
}
