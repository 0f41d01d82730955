//! The modules of `src` use each other in one direction.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the top down: each uses only modules below it. `src/lib.rs` lists them in the same
/// order, with what each is for.
const ORDER: [&str; 15] = [
    "cli",
    "server",
    "handover",
    "child",
    "admin",
    "proxy",
    "connection",
    "snapshot",
    "routing",
    "upstream",
    "auth",
    "tls",
    "config",
    "observe",
    "os",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn position(module: &str) -> usize {
    ORDER
        .iter()
        .position(|name| *name == module)
        .unwrap_or_else(|| panic!("module {module} is missing from the order: add it to ORDER"))
}

/// Every source file below `directory`, with its path from there.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The code of a file: without comments, and without the tests at its end.
fn code(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let without_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    text.lines().map(without_comment).collect()
}

/// The modules at the top of the crate that the code names, each with its line: by `crate::`, by
/// `crate::{…}`, or by enough `super::`.
fn named_modules(lines: &[String], depth: usize) -> Vec<(usize, String)> {
    let text = lines.join("\n");
    let mut named = Vec::new();
    let above = "super::".repeat(depth);
    for root in ["crate::", above.as_str()] {
        for (at, _) in text.match_indices(root) {
            let before = text[..at].chars().next_back();
            let is_longer = before.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c));
            if is_longer || text[at + root.len()..].starts_with("super::") {
                continue;
            }
            let line = text[..at].matches('\n').count() + 1;
            let names = first_names(&text[at + root.len()..]);
            named.extend(names.into_iter().map(|name| (line, name)));
        }
    }
    named
}

/// The first name of a path, or of each path in braces.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(name(&list[start..at]));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// How many modules a file is below the top of the crate.
fn depth(relative: &Path) -> usize {
    let parts = relative.components().count();
    if relative.ends_with("mod.rs") { parts - 1 } else { parts }
}

#[test]
fn every_module_uses_only_modules_below_it() {
    let source = source();
    let mut upwards = Vec::new();
    for path in files(&source) {
        let relative = path.strip_prefix(&source).unwrap();
        let is_test = relative.file_name().is_some_and(|name| name == "tests.rs");
        let module = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let module = module.strip_suffix(".rs").unwrap_or(module);
        if is_test || ["lib", "main"].contains(&module) {
            continue;
        }
        for (line, used) in named_modules(&code(&path), depth(relative)) {
            if used != module && position(&used) < position(module) {
                upwards.push(format!("src/{}:{line}: {module} uses {used}", relative.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "these point upwards:\n{}", upwards.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_order() {
    let modules: BTreeSet<String> = fs::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| !["lib", "main"].contains(&name.as_str()))
        .collect();
    let order: BTreeSet<String> = ORDER.map(str::to_owned).into();
    assert_eq!(modules, order);
}

#[test]
fn the_map_in_lib_rs_has_the_same_order() {
    let map = fs::read_to_string(source().join("lib.rs")).unwrap();
    let listed: Vec<&str> = map
        .lines()
        .filter_map(|line| line.strip_prefix("//! - [`")?.split("`]: ").next())
        .collect();
    assert_eq!(listed, ORDER);
}

/// The paths that docs/architecture.md names: in `src`, and in its drawings relative to it.
fn documented_paths(page: &str) -> BTreeSet<&str> {
    let words = page.split(|c: char| c.is_whitespace() || "`,;()|".contains(c));
    let from_source = words.filter_map(|word| match word.strip_prefix("src/") {
        Some(path) => Some(path),
        None => ORDER.contains(&word.split_once('/')?.0).then_some(word),
    });
    from_source.map(|path| path.trim_end_matches([':', '.'])).collect()
}

#[test]
fn every_path_in_the_architecture_page_exists() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/architecture.md");
    let page = fs::read_to_string(page).unwrap();
    let paths = documented_paths(&page);
    for path in ["lib.rs", "proxy", "proxy/coalesce/", "auth/rate_limiter.rs"] {
        assert!(paths.contains(path), "{path} is not found in {paths:?}");
    }
    let missing: Vec<_> = paths.iter().filter(|path| !source().join(path).exists()).collect();
    assert!(missing.is_empty(), "docs/architecture.md names {missing:?}, which do not exist");
}

#[test]
fn paths_are_read_in_every_form() {
    let code = [
        "use crate::auth::{Permit, Policy};",
        "use crate::{config, os::limits, tls::{self, material}};",
        "let x = crate::proxy::engine();",
        "use super::super::server::Plan;",
        "use super::sibling;",
    ];
    let lines: Vec<String> = code.map(str::to_owned).into();
    let mut named = named_modules(&lines, 2);
    named.sort();
    let expected = [(1, "auth"), (2, "config"), (2, "os"), (2, "tls"), (3, "proxy"), (4, "server")];
    let named: Vec<(usize, &str)> = named.iter().map(|(line, name)| (*line, &**name)).collect();
    assert_eq!(named, expected);
}
