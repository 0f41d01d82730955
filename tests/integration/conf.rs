//! Each configuration in conf/ is loaded, and served with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;

fn examples() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a directory that can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yml" || e == "yaml"))
        .collect();
    files.sort();
    files
}

/// The relative file names that an example gives to a key.
fn named<'a>(config: &'a str, key: &str) -> Vec<&'a str> {
    let lines = config.lines().map(|line| line.trim_start().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    values.map(|value| value.split(" #").next().unwrap_or_default().trim()).collect()
}

/// The example in a directory with the files it names.
fn install(example: &Path) -> (GuardBuilder, Identity) {
    let config = fs::read_to_string(example).expect("an example");
    let (tls, clients) = (ServerTls::new(), Authority::new("clients"));
    let mut builder = GuardBuilder::new().config(&config);
    for (key, content) in [
        ("cert_file", tls.identity.chain_pem()),
        ("key_file", tls.identity.key_pem()),
        ("client_ca_file", clients.pem()),
    ] {
        for name in named(&config, key) {
            assert!(Path::new(name).is_relative(), "{name}: an example is tried where it is");
            builder = builder.file(name, &content);
        }
    }
    (builder, clients.issue(&Leaf::client()))
}

#[test]
fn there_is_a_minimal_and_a_full_example() {
    let examples = examples();
    assert!(examples.len() >= 2, "{examples:?}");
    let names: String = examples.iter().map(|path| path.display().to_string()).collect();
    assert!(names.contains("minimal") && names.contains("full"), "{names}");
}

#[test]
fn check_finds_no_error_in_any_example() {
    for example in examples() {
        let (builder, _) = install(&example);
        let finished = guard::run(builder.dir(), &["check", "web.yml"]);
        assert_eq!(finished.code, Some(0), "{}: {finished}", example.display());
        assert!(!finished.stdout.contains("error:"), "{}: {finished}", example.display());
    }
}

/// What has a `#` right before it, or before its indentation, is no prose.
#[test]
fn the_keys_that_the_gateway_example_comments_out_are_valid() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/gateway.yml");
    let is_left_out = |rest: &str| !rest.starts_with(' ') || rest.starts_with("  ");
    let whole = |line: &str| match line.trim_start().strip_prefix('#') {
        Some(rest) if is_left_out(rest) && !rest.is_empty() => line.replacen('#', "", 1) + "\n",
        _ => format!("{line}\n"),
    };
    let text: String =
        fs::read_to_string(example).expect("an example").lines().map(whole).collect();
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("gateway.yml");
    guard::write(&config, &text);
    let (builder, _) = install(&config);
    let builder = builder
        .file("exporters.crt", Authority::new("exporters").pem())
        .file("tokens.yml", "ci: $2y$10$qgsB1DjdRk9iNX0sU/XwT.9XeC3/6sWbHWpXBpafR2u5AVU9QqwPO\n")
        .file("targets/a.yml", "- targets: ['node1.example:9100']\n")
        .file("more.json", "[]");
    let args = ["check", "--strict", "--explain", "web.yml"];
    let said = guard::run(builder.dir(), &args).expect_code(0).stdout;
    let lines =
        ["secured: GET, HEAD /secured/metrics", "fleet-node1.example-9100: GET, HEAD /fleet/"];
    assert!(lines.iter().all(|line| said.contains(line)), "{said}");
}

#[test]
fn the_guard_starts_with_every_example() {
    for example in examples() {
        let (builder, client) = install(&example);
        let guard = builder.start();
        let line = guard.wait_log("the listener", |line| line.contains("listener=web"));
        let status = if logfmt::field(&line, "tls") == "true" {
            let answer = TlsClient::new().identity(&client).try_get(guard.port(), "");
            answer.map(|response| response.status)
        } else {
            Ok(guard.connect().get("/metrics").status)
        };
        // An example with names for client certificates does not know this one.
        let taken = status.is_ok_and(|status| status == 200 || status == 401);
        let names = fs::read_to_string(&example).expect("an example");
        assert!(taken || names.contains("client_allowed_sans"), "{}", example.display());
    }
}
