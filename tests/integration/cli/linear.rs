//! `check` of large files: the time grows with the file, and no faster.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::process::{self, Finished};

/// The CPU time that reading a large file may take.
const LIMIT: Duration = Duration::from_millis(200);

/// Returns the CPU time of the programs that this one has run to their ends.
fn cpu_of_children() -> Duration {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/self/stat").expect("procfs");
    // The name in parentheses may hold blanks; cutime and cstime are the 14th and 15th after it.
    let fields = stat.rsplit(')').next().expect("a name").split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

fn lines(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).fold(head.to_owned(), |mut text, number| {
        writeln!(text, "{}", line(number)).expect("a string");
        text
    })
}

/// Returns the large files by name, and the exit code of `check`.
fn inputs() -> Vec<(&'static str, String, i32)> {
    let proxy = "proxy:\n  access: [{networks: [10.0.0.0/8]}]\n";
    let labels = format!("{proxy}  labels:\n");
    let sd = format!("{proxy}  file_sd_configs:\n  - {{files: [targets.yml], path: /fleet}}\n");
    vec![
        ("50,000 labels", lines(&labels, 50_000, |n| format!("    label_{n}: v")), 0),
        ("20,000 bad labels", lines(&labels, 20_000, |n| format!("    label-{n}: v")), 1),
        ("200,000 brackets", "[".repeat(200_000), 1),
        ("200,000 nested lists", "- ".repeat(200_000), 1),
        ("10,000 targets", sd, 0),
    ]
}

#[test]
#[ignore = "measures the optimised program, which `make stress` builds"]
fn large_files_are_read_in_a_fifth_of_a_second() {
    let target = Path::new(env!("CARGO_BIN_EXE_exporter-guard")).parent().and_then(Path::parent);
    let program: PathBuf = target.unwrap().join("static/exporter-guard");
    let directory = tempfile::tempdir().unwrap();
    let targets = lines("- targets:\n", 10_000, |n| format!("  - node{n}.example:9100"));
    fs::write(directory.path().join("targets.yml"), targets).unwrap();
    for (name, text, code) in inputs() {
        fs::write(directory.path().join("web.yml"), text).unwrap();
        let before = cpu_of_children();
        let mut check = process::command(&program);
        check.args(["check", "web.yml"]);
        let finished = Finished::run(&mut check, directory.path(), b"");
        let took = cpu_of_children() - before;
        println!("{name}: {took:?}");
        assert_eq!(finished.code, Some(code), "{name}");
        assert!(took < LIMIT, "{name} takes {took:?}");
    }
}
