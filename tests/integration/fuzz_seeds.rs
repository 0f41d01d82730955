//! Every seed of the fuzz targets goes through the body of its target, without libFuzzer.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod targets;

pub use targets::reference;

fn run(seeds: &str, target: impl Fn(&[u8])) {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(seeds);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut count = 0;
    for entry in entries {
        let path = entry.expect("a directory that can be read").path();
        // What a failure is about: output is shown when a test fails.
        println!("{}", path.display());
        target(&fs::read(&path).expect("a seed"));
        count += 1;
    }
    assert!(count >= 5, "{}: {count} seeds", dir.display());
}

#[test]
fn web_config() {
    run("web_config", targets::web_config);
}

#[test]
fn authorization() {
    run("authorization", targets::authorization);
}

#[test]
fn request_head() {
    run("request_head", targets::request_head);
}

#[test]
fn forwarded() {
    run("forwarded", targets::forwarded);
}

#[test]
fn proxy_header() {
    run("proxy_header", targets::proxy_header);
}

#[test]
fn public_path() {
    run("public_path", targets::public_path);
}

#[test]
fn file_sd() {
    run("file_sd", targets::file_sd);
}
