//! The JSON Schema that `exporter-guard schema` prints, against `check`: what a schema can judge, it
//! judges alike.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Row, Verdict, table};
use crate::support::{guard, process};

/// The rows that a schema cannot judge, each with the reason.
const BEYOND_A_SCHEMA: [(&str, &[&str]); 6] = [
    (
        "the content of files and of PEM text is not in the schema",
        &[
            "a key of another certificate",
            "a key of another kind",
            "no certificate file",
            "no key file",
            "a directory for a certificate",
            "an empty certificate file",
            "a garbled certificate",
            "text for a certificate",
            "text for a key",
            "a key for a certificate",
            "a certificate for a key",
            "an encrypted key",
            "inline text that is no certificate",
            "no CA file",
            "an empty CA file",
        ],
    ),
    (
        "a schema has no rule for keys that need or exclude each other",
        &[
            "a certificate without a key",
            "a key without a certificate",
            "a policy alone",
            "NoClientCert alone turns TLS on, too",
            "a CA without policy",
            "a CA with NoClientCert",
            "HTTP/2 without its mandatory suite",
        ],
    ),
    (
        "a schema does not know what lets everybody through",
        &[
            "an empty mapping",
            "no users, and no word of TLS",
            "no TLS, and no word of users",
            "HTTP alone",
            "an empty file name is none",
            "versions alone",
            "suites alone",
        ],
    ),
    (
        "once parsed, a word in quotes is the same as one without",
        &["http2 as a quoted YAML 1.1 word"],
    ),
    ("a network is more than a pattern", &["a load balancer that is no network"]),
    ("check-jsonschema refuses a second document", &["a second document does not count"]),
];

/// Returns the rows that the schema does not judge as `check` does.
fn differing(rows: &[Row], refused: &HashSet<usize>) -> Vec<String> {
    let judged_alike = |(index, row): &(usize, &Row)| {
        let accepts = !matches!(row.verdict, Verdict::Refused(..));
        accepts != refused.contains(index)
    };
    let differs = rows.iter().enumerate().filter(|row| !judged_alike(row));
    differs.map(|(_, row)| row.name.to_owned()).collect()
}

/// Runs check-jsonschema on all files at once, and returns those that it refuses.
fn refused(schema: &Path, files: &[PathBuf]) -> HashSet<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_exporter-guard")).parent().and_then(Path::parent);
    let program = target.unwrap().join("check-jsonschema/bin/check-jsonschema");
    let output = process::command(&program)
        .args(["--output-format", "json", "--schemafile"])
        .arg(schema)
        .args(files)
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}; see `make stress`", program.display()));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let lists = ["errors", "parse_errors"].into_iter().filter_map(|list| said[list].as_array());
    let names = lists.flatten().filter_map(|error| error["filename"].as_str());
    names.map(PathBuf::from).collect()
}

/// Writes the schema to a directory.
fn write_schema(directory: &Path) -> PathBuf {
    let schema = directory.join("schema.json");
    fs::write(&schema, guard::run(directory, &["schema"]).expect_code(0).stdout).unwrap();
    schema
}

#[test]
#[ignore = "needs check-jsonschema, which `make stress` installs"]
fn the_schema_judges_as_check_does() {
    let directory = tempfile::tempdir().unwrap();
    let schema = write_schema(directory.path());
    let rows = table();
    let files: Vec<PathBuf> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| {
            let file = directory.path().join(format!("row-{index}.yml"));
            fs::write(&file, &row.yaml).unwrap();
            file
        })
        .collect();
    let refused = refused(&schema, &files);
    let numbers = files.iter().enumerate().filter(|(_, file)| refused.contains(*file));
    let differing = differing(&rows, &numbers.map(|(index, _)| index).collect());
    let listed: Vec<&str> =
        BEYOND_A_SCHEMA.iter().flat_map(|(_, names)| names.iter().copied()).collect();
    let unlisted: Vec<&String> =
        differing.iter().filter(|name| !listed.contains(&name.as_str())).collect();
    assert!(unlisted.is_empty(), "judged differently: {unlisted:#?}");
    let alike: Vec<&&str> =
        listed.iter().filter(|name| !differing.iter().any(|other| other == *name)).collect();
    assert!(alike.is_empty(), "listed, and judged alike or in no row: {alike:#?}");
    println!("{} rows, {} judged alike", rows.len(), rows.len() - listed.len());
}

#[test]
#[ignore = "needs check-jsonschema, which `make stress` installs"]
fn the_examples_are_valid() {
    let directory = tempfile::tempdir().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf");
    let names = ["minimal.yml", "full.yml", "gateway.yml"];
    let files: Vec<PathBuf> = names.iter().map(|name| examples.join(name)).collect();
    let refused = refused(&write_schema(directory.path()), &files);
    assert!(refused.is_empty(), "{refused:?}");
}
