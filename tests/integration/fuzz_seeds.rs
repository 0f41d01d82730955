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
fn seeds_of_web_config_pass_their_target() {
    run("web_config", targets::web_config);
}

#[test]
fn seeds_of_authorization_pass_their_target() {
    run("authorization", targets::authorization);
}

#[test]
fn seeds_of_request_head_pass_their_target() {
    run("request_head", targets::request_head);
}

#[test]
fn seeds_of_forwarded_pass_their_target() {
    run("forwarded", targets::forwarded);
}

#[test]
fn seeds_of_proxy_header_pass_their_target() {
    run("proxy_header", targets::proxy_header);
}

#[test]
fn seeds_of_public_path_pass_their_target() {
    run("public_path", targets::public_path);
}

#[test]
fn seeds_of_file_sd_pass_their_target() {
    run("file_sd", targets::file_sd);
}
