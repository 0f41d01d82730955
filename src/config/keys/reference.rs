//! The declarations as docs/configuration.md.

use std::fmt::Write;

use super::declaration::{Origin, SectionKeys};
use super::file::FILE;
use super::route::{ROUTE_DEFAULTS, TARGET_GROUP, TARGET_ROUTES};

const INTRODUCTION: &str = "\
# Configuration

The keys of the web configuration, `--web.config.file`. This page is written by `cargo run --example
configuration -- docs/configuration.md` from the declarations that the guard reads the file by.
`exporter-guard schema` prints them as a JSON Schema, with which editors complete keys and mark
mistakes; `exporter-guard check FILE` finds every mistake, with its line. `conf/full.yml` and
`conf/gateway.yml` are commented examples.

The file is YAML as the Prometheus exporter-toolkit reads it: `yes`, `no`, `on`, `off`, `y` and `n` are
booleans, too; a number or a boolean counts as its text where a text is wanted; a single text counts as
a list of one. Only the first document counts, and lists and mappings nest 64 levels deep at most. A
duration is written as Go writes it: `1s`, `250ms`, `1h2m3.5s`, with the units `ns`, `us` or `µs`,
`ms`, `s`, `m` and `h`. Paths are relative to the directory of the file.
";

/// Returns docs/configuration.md.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    let shared = [&ROUTE_DEFAULTS, &TARGET_ROUTES];
    let sections = FILE.all().into_iter().chain([&TARGET_GROUP]).chain(shared);
    for section in sections {
        add_section(section, &mut page);
    }
    page
}

fn add_section(section: &SectionKeys, page: &mut String) {
    let title = match section.name {
        "" => "Sections".to_owned(),
        name if name.contains(' ') => capitalized(name),
        name => format!("`{name}`"),
    };
    let origin = match section.origin {
        Origin::Toolkit => "exporter-toolkit",
        Origin::Guard => "exporter-guard",
    };
    let introduction = section.introduction;
    // Writing to a string cannot fail.
    let _ = write!(page, "\n## {title}\n\nOrigin: {origin}. {introduction}\n\n");
    page.push_str("| key | type | default | meaning |\n|---|---|---|---|\n");
    for key in section.own {
        let _ = writeln!(
            page,
            "| `{}` | {}{} | {} | {} |",
            key.name(),
            key.describe(),
            if key.off().is_empty() { "" } else { "; not null" },
            key.default_text(),
            key.meaning()
        );
    }
    add_shared(section, page);
}

/// Names the keys of a section that are declared elsewhere, with links to where they are.
fn add_shared(section: &SectionKeys, page: &mut String) {
    for (shared, link) in [
        (&TARGET_ROUTES, "[keys of routes and targets](#keys-of-routes-and-targets)"),
        (&ROUTE_DEFAULTS, "[keys of a route](#keys-of-a-route)"),
    ] {
        let names: Vec<String> = section
            .keys()
            .filter(|key| shared.has_own(*key))
            .map(|key| format!("`{}`", key.name()))
            .collect();
        if !names.is_empty() {
            let _ = write!(page, "\nAnd these {link}: {}.\n", names.join(", "));
        }
    }
    if section.name == "proxy.listeners" {
        page.push_str("\nAnd `certificates`, as under [`proxy`](#proxy).\n");
    }
}

fn capitalized(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_declarations_say() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let written = std::fs::read_to_string(file).unwrap_or_default();
        assert!(
            written == reference(),
            "docs/configuration.md is older than src/config/keys: write it again with\n    \
             cargo run --example configuration -- docs/configuration.md"
        );
    }

    #[test]
    fn every_link_leads_to_a_heading() {
        let page = reference();
        let anchors: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("## "))
            .map(|title| title.to_lowercase().replace(['`', '.'], "").replace(' ', "-"))
            .collect();
        for link in page.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(anchors.iter().any(|anchor| anchor == link), "{link} in {anchors:?}");
        }
    }
}
