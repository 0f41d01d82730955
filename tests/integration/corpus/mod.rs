//! The web configuration against its oracles: each row of one table of good and bad files goes
//! through `check`, through a real start, through `promtool check web-config` and through a
//! node_exporter started with it.

mod material;
mod oracle;
mod proxy_rows;
mod rows;
mod schema;
mod tls_rows;

use std::path::Path;
use std::sync::Mutex;

use tempfile::TempDir;

use crate::support::guard;
use crate::support::process::Finished;

/// What exporter-guard makes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Good,
    /// Used, with a warning that holds this text.
    Warns(&'static str),
    /// Refused, with a message that holds this text, at this line when there is one.
    Refused(usize, &'static str),
}

impl Verdict {
    fn accepts(self) -> bool {
        !matches!(self, Self::Refused(..))
    }
}

/// What the programs with Debian's exporter-toolkit 0.8 make of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracles {
    /// The same.
    Agree,
    /// Both the opposite, for this reason.
    Differ(&'static str),
    /// node_exporter alone the opposite: promtool does not look, for this reason.
    OnlyExporterAgrees(&'static str),
}

pub struct Row {
    pub name: &'static str,
    pub yaml: String,
    pub verdict: Verdict,
    pub oracles: Oracles,
}

/// A good file, exactly as it stands here.
pub fn good_as_it_is(name: &'static str, yaml: impl Into<String>) -> Row {
    Row { name, yaml: yaml.into(), verdict: Verdict::Good, oracles: Oracles::Agree }
}

/// A good file. Where it turns nothing on, it is made to say so in words: what is judged is the rest.
pub fn good(name: &'static str, yaml: impl Into<String>) -> Row {
    let mut yaml = yaml.into();
    for section in ["basic_auth_users", "tls_server_config"] {
        if !yaml.contains(section) {
            yaml += &format!("{section}: {{}}\n");
        }
    }
    good_as_it_is(name, yaml)
}

pub fn warns(name: &'static str, text: &'static str, yaml: impl Into<String>) -> Row {
    Row { verdict: Verdict::Warns(text), ..good(name, yaml) }
}

pub fn bad(name: &'static str, line: usize, text: &'static str, yaml: impl Into<String>) -> Row {
    let verdict = Verdict::Refused(line, text);
    Row { name, yaml: yaml.into(), verdict, oracles: Oracles::Agree }
}

impl Row {
    fn differ(mut self, reason: &'static str) -> Self {
        self.oracles = Oracles::Differ(reason);
        self
    }

    fn only_exporter(mut self, reason: &'static str) -> Self {
        self.oracles = Oracles::OnlyExporterAgrees(reason);
        self
    }
}

fn table() -> Vec<Row> {
    let mut rows = rows::rows();
    rows.extend(tls_rows::rows());
    rows.extend(proxy_rows::rows());
    rows
}

/// Run every row, a few at a time, and report all that went wrong.
fn for_each_row(judge: impl Fn(&Row, &Path) -> Result<(), String> + Sync) {
    let directory = TempDir::new().unwrap();
    material::write(directory.path());
    let rows = Mutex::new(table().into_iter().enumerate());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((index, row)) = rows.lock().unwrap().next() else { return };
                    let file = directory.path().join(format!("row-{index}.yml"));
                    std::fs::write(&file, &row.yaml).unwrap();
                    if let Err(what) = judge(&row, &file) {
                        let report = format!("{}: {what}\n{}", row.name, row.yaml);
                        failures.lock().unwrap().push(report);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} rows:\n{}", failures.len(), failures.join("\n---\n"));
}

fn check(file: &Path, more: &[&str]) -> Finished {
    let mut args = vec!["check"];
    args.extend(more);
    args.push(file.to_str().unwrap());
    guard::run(file.parent().unwrap(), &args)
}

#[test]
fn there_are_a_hundred_rows_with_unique_names() {
    let rows = table();
    let names: std::collections::HashSet<_> = rows.iter().map(|row| row.name).collect();
    assert!(rows.len() >= 100, "{}", rows.len());
    assert_eq!(names.len(), rows.len());
}

#[test]
fn check_gives_the_verdict_of_each_row() {
    for_each_row(|row, file| {
        let finished = check(file, &[]);
        let (code, output) = (finished.code, finished.stdout.as_str());
        let lines: Vec<&str> = output.lines().collect();
        match row.verdict {
            Verdict::Good if code == Some(0) && lines.is_empty() => Ok(()),
            Verdict::Warns(text)
                if code == Some(0)
                    && lines.iter().any(|l| l.contains(": warning: ") && l.contains(text)) =>
            {
                let strict = check(file, &["--strict"]);
                match strict.code {
                    Some(1) => Ok(()),
                    other => Err(format!("check --strict exits {other:?}")),
                }
            }
            Verdict::Refused(line, text) if code == Some(1) => {
                let place = match line {
                    0 => format!("{}: error: ", file.display()),
                    line => format!("{}:{line}: error: ", file.display()),
                };
                match lines.iter().any(|found| found.starts_with(&place) && found.contains(text)) {
                    true => Ok(()),
                    false => Err(format!("no {text:?} at line {line} in\n{output}")),
                }
            }
            _ => Err(format!("{:?}, but check exits {code:?} and says\n{output}", row.verdict)),
        }
    });
}

#[test]
fn a_start_does_what_check_says() {
    for_each_row(|row, file| match (oracle::guard_starts(file), row.verdict.accepts()) {
        (Ok(_), true) | (Err(_), false) => Ok(()),
        (Ok(log), false) => Err(format!("started\n{log}")),
        (Err(log), true) => Err(format!("did not start\n{log}")),
    });
}

#[test]
fn promtool_agrees_but_for_listed_differences() {
    for_each_row(|row, file| {
        let expected = match row.oracles {
            Oracles::Agree => row.verdict.accepts(),
            Oracles::Differ(_) | Oracles::OnlyExporterAgrees(_) => !row.verdict.accepts(),
        };
        oracle::compare("promtool", oracle::promtool_accepts(file), expected, row.oracles)
    });
}

#[test]
fn node_exporter_agrees_but_for_listed_differences() {
    for_each_row(|row, file| {
        let expected = match row.oracles {
            Oracles::Agree | Oracles::OnlyExporterAgrees(_) => row.verdict.accepts(),
            Oracles::Differ(_) => !row.verdict.accepts(),
        };
        oracle::compare("node_exporter", oracle::node_exporter_starts(file), expected, row.oracles)
    });
}
