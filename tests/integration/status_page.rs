//! The status page at `/` of the telemetry address, and the same as JSON.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::process::Finished;
use crate::support::*;

/// A name that must not become markup.
const HOSTILE_USER: &str = "<script>alert(1)</script>";

const DAY: i64 = 24 * 60 * 60;

/// A guard that has something to say in every part of the page.
fn eventful() -> (Guard, Exporter, ports::Refusing) {
    let (exporter, down) = (Exporter::new(), ports::Refusing::new());
    let (tls, clients) = (ServerTls::new(), Authority::new("Example clients"));
    let soon = tls.ca.issue(&Leaf { valid: (-1000, 5 * DAY + DAY / 2), ..Leaf::server() });
    let hash = quick_hash(SCRAPER.1);
    let mut config = TLS.to_owned();
    config += "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: clients.crt\n";
    config += &users(&[("scraper", &hash), (HOSTILE_USER, &hash)]);
    config += &proxy(&yaml(&format!(
        "
        routes:
          - {{name: node, path: /node, upstreams: ['{exporter}']}}
          - {{name: database, path: /database, upstreams: ['http://{}']}}
          - {{name: guard, path: /guard, upstreams: [self]}}
        ",
        down.address()
    )));
    let guard = GuardBuilder::new()
        .config(&config)
        .tls(&tls)
        .pair("server", &soon)
        .file("clients.crt", clients.pem())
        .telemetry()
        .start();
    let mut client = TlsClient::new().connect(guard.port());
    for _ in 0..20 {
        assert_eq!(client.get_as((HOSTILE_USER, SCRAPER.1), "/node/metrics").status, 200);
    }
    assert_eq!(client.get("/node/metrics").status, 401);
    assert_eq!(client.get_as(("nobody", "x"), "/node/metrics").status, 401);
    let mut client = TlsClient::new().connect(guard.port());
    assert_eq!(client.get_as(SCRAPER, "/database/metrics").status, 502);
    guard.replace("web.yml", config.replace("client_ca_file", "client_ca_files"));
    assert_eq!(guard.reload().status, 500);
    guard.replace("web.yml", config + "rate_limit: {interval: 1ms, burst: 1000}\n");
    assert_eq!(guard.reload().status, 200);
    let answered = "exporter_guard_http_requests_total{code=\"502\"}";
    eventually("the last request", || guard.metric(answered) >= 1.0);
    (guard, exporter, down)
}

fn json(guard: &Guard) -> Value {
    let response = guard.telemetry().get("/api/v1/status");
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
    let value: Value = serde_json::from_slice(&response.body).expect("JSON");
    assert_eq!(value["status"], "success");
    value["data"].clone()
}

#[test]
fn the_status_says_what_happens() {
    let (guard, exporter, _down) = eventful();
    let status = json(&guard);
    assert_eq!(status["generation"], 2);
    let listener = &status["listeners"][0];
    assert_eq!(listener["tls"]["versions"], serde_json::json!(["1.2", "1.3"]));
    assert_eq!(listener["tls"]["client_certificates"], "verified if there is one");
    assert_eq!(listener["address"], guard.address("web").as_str());
    let first = &status["certificates"][0];
    assert_eq!((&first["use"], &first["days_left"]), (&"server".into(), &5.into()), "{first}");
    assert_eq!(status["certificates"][1]["subject"], "CN=Example clients");
    let [database, own, node] = [0, 1, 2].map(|index| status["routes"][index].clone());
    assert_eq!(node["upstreams"][0]["address"], exporter.to_string());
    assert_eq!(node["upstreams"][0]["up"], true);
    let last = &node["last_request"];
    assert_eq!(
        (&last["status"], &last["caller"]),
        (&200.into(), &format!("user {HOSTILE_USER} at 127.0.0.1").into())
    );
    assert!(last["seconds"].as_f64() > Some(0.0) && last["bytes"].as_u64() > Some(0), "{last}");
    assert_eq!(database["upstreams"][0]["up"], false);
    assert_eq!(database["upstreams"][0]["cause"], "connection refused");
    assert_eq!((&own["name"], &own["last_request"]), (&"guard".into(), &Value::Null));
    let [newest, failed] = [0, 1].map(|index| status["reloads"][index].clone());
    assert_eq!((&newest["successful"], &newest["message"]), (&true.into(), &"rate_limit".into()));
    assert_eq!(failed["successful"], false);
    assert!(failed["message"].as_str().unwrap().contains("client_ca_files"), "{failed}");
    let refusals = status["refusals"].as_array().expect("a list");
    let reasons: Vec<&str> = refusals.iter().filter_map(|r| r["reason"].as_str()).collect();
    assert_eq!(reasons, ["wrong credentials", "no credentials"]);
    assert_eq!(refusals[0]["address"], "127.0.0.1");
    let minutes = status["minutes"].as_array().expect("a list");
    let sum = |key: &str| minutes.iter().filter_map(|minute| minute[key].as_u64()).sum::<u64>();
    assert_eq!((sum("requests"), sum("errors")), (23, 1));
}

#[test]
fn the_page_needs_no_script_and_loads_nothing() {
    let (guard, _exporter, _down) = eventful();
    let response = guard.telemetry().get("/");
    assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = response.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let page = response.text();
    for absent in ["<script", "<link", "<img", "https://", "src=", "url(", "@import", " style="] {
        assert!(!page.contains(absent), "{absent} in {page}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "names are escaped");
    assert_eq!(page.matches("<h1").count(), 1);
    for part in ["The last hour", "Listeners", "Certificates", "Routes", "Reloads", "Refusals"] {
        assert!(page.contains(&format!("{part}</h2>")), "{part}");
    }
    assert!(page.contains("<html lang=\"en\">") && page.contains("name=\"viewport\""));
    assert!(page.contains("<span class=\"bad\">failed: web.yml:"), "the error stands out");
    assert!(page.contains("<span class=\"bad\">5 days</span>"), "so does the certificate");
    assert!(page.contains("<span class=\"bad\">down: connection refused</span>"));
    // The hash of the policy is that of the style, or the page would have none.
    let style = page.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>"));
    let digest = openssl::sha::sha256(style.expect("a style").0.as_bytes());
    assert!(policy.contains(&openssl::base64::encode_block(&digest)), "{policy}");
}

/// Neither page has a password, a hash of one, or a key.
#[test]
fn the_status_holds_no_secret() {
    let (guard, _exporter, _down) = eventful();
    let config = fs::read_to_string(guard.path("web.yml")).unwrap();
    let key = fs::read_to_string(guard.path("server.key")).unwrap();
    let hash = config.split("$2").nth(1).and_then(|rest| rest.get(..40)).expect("a hash");
    let key = key.lines().nth(1).expect("a line of a key");
    for path in ["/", "/api/v1/status", "/metrics"] {
        let page = guard.telemetry().get(path).text();
        for secret in [SCRAPER.1, hash, key] {
            assert!(!page.contains(secret), "{secret} in {path}");
        }
    }
}

/// The relative luminance of a colour, `#rrggbb` (WCAG 2.2).
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value =
            f64::from(u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour")) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn style() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("src/admin/status/style.css")).expect("a style")
}

/// The value of a variable, in the light and in the dark theme.
fn colours(name: &str) -> [String; 2] {
    let (style, key) = (style(), format!("--{name}: "));
    let values = style.split(&key).skip(1);
    let values: Vec<String> = values.map(|rest| rest[..7].to_owned()).collect();
    values.try_into().expect("one for each theme")
}

/// WCAG 2.2, success criteria 1.4.3 (text, 4.5) and 1.4.11 (graphics, 3).
#[test]
fn colours_have_enough_contrast_in_both_themes() {
    for (theme, name) in ["light", "dark"].iter().enumerate() {
        for background in ["page", "panel"] {
            let behind = &colours(background)[theme];
            for text in ["text", "soft", "link", "good", "bad", "warn"] {
                let ratio = contrast(&colours(text)[theme], behind);
                assert!(ratio >= 4.5, "{name}: {text} on {background}: {ratio:.2}");
            }
        }
        let ratio = contrast(&colours("line")[theme], &colours("panel")[theme]);
        assert!(ratio >= 3.0, "{name}: the line of a plot: {ratio:.2}");
    }
}

/// A picture of the page, as rows of pixels.
struct Picture {
    rows: Vec<Vec<[u8; 3]>>,
}

impl Picture {
    /// By netpbm, whose format is a header of three lines and the bytes of the pixels.
    fn read(path: &Path) -> Self {
        let output = process::command("pngtopnm").arg(path).output().expect("pngtopnm");
        assert!(output.status.success(), "{output:?}");
        let mut parts = output.stdout.splitn(4, |byte| *byte == b'\n');
        let mut line = || parts.next().expect("a line");
        let (kind, size, depth) = (line(), line(), line());
        assert_eq!((kind, depth), (&b"P6"[..], &b"255"[..]), "three bytes for each pixel");
        let size = std::str::from_utf8(size).expect("numbers");
        let width: usize =
            size.split(' ').next().and_then(|text| text.parse().ok()).expect("a width");
        let pixel = |pixel: &[u8]| [pixel[0], pixel[1], pixel[2]];
        let row = |row: &[u8]| row.chunks(3).map(pixel).collect();
        Self { rows: line().chunks(width * 3).map(row).collect() }
    }
}

fn rgb(colour: &str) -> [u8; 3] {
    [1, 3, 5].map(|at| u8::from_str_radix(&colour[at..at + 2], 16).expect("a colour"))
}

/// Debian's chromium renders the page in both themes on a desktop and on a telephone. The pictures
/// stay in `target/status-page`, to be looked at.
#[test]
#[ignore = "needs chromium, which `make stress` installs"]
fn the_page_looks_right_in_both_themes_at_two_widths() {
    let (guard, _exporter, _down) = eventful();
    let pictures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/status-page");
    fs::create_dir_all(&pictures).unwrap();
    let url = format!("http://127.0.0.1:{}/", guard.telemetry_port());
    for (theme, name, scheme) in [(0, "light", "1"), (1, "dark", "0")] {
        for (width, height) in [(1280_usize, 1700_usize), (390, 3400)] {
            let file = pictures.join(format!("{name}-{width}.png"));
            let mut chromium = process::command("chromium");
            chromium
                .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
                .arg(format!("--user-data-dir={}", guard.path("chromium").display()))
                .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
                .arg(format!("--window-size={width},{height}"))
                .arg(format!("--screenshot={}", file.display()))
                .arg(&url);
            Finished::run(&mut chromium, guard.dir(), b"").expect_code(0);
            let picture = Picture::read(&file);
            let page = rgb(&colours("page")[theme]);
            assert_eq!(picture.rows[0].len(), width, "{name}");
            assert_eq!(picture.rows[2][2], page, "{name} {width}: the background");
            // Nothing reaches into the margin at the right, so nothing has to be scrolled to.
            let reaches = |row: &Vec<[u8; 3]>| row[width - 8..].iter().any(|pixel| *pixel != page);
            let at = picture.rows.iter().position(reaches);
            assert_eq!(at, None, "{name} {width}: a row that is too wide");
            let colours = [colours("text")[theme].clone(), colours("bad")[theme].clone()];
            for colour in colours {
                let has = picture.rows.iter().flatten().any(|pixel| *pixel == rgb(&colour));
                assert!(has, "{name} {width}: nothing in {colour}");
            }
        }
    }
}
