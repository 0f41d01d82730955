//! Findings: what is wrong with a file, or worth a warning, each with its line.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::document::{Document, SyntaxError};
use super::node::NodeId;

/// The weight of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used.
    Warning,
}

/// One line of `check`'s output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file that the finding is about.
    pub file: PathBuf,
    /// The line, from 1; `None` when it concerns the file as a whole.
    pub line: Option<usize>,
    /// The weight: a file with a warning alone is used.
    pub severity: Severity,
    /// The subject, and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {severity}: {}", self.message)
    }
}

/// A finding about a node, whose line is not known yet.
#[derive(PartialEq, Eq, Hash)]
struct Located {
    node: NodeId,
    severity: Severity,
    message: String,
}

/// All findings about one file and the files that it names. Keeps the text of the file, in which the
/// lines are found once all findings are there.
pub struct Findings {
    file: PathBuf,
    document: Option<Document>,
    located: Vec<Located>,
    /// The findings that have their line, or need none.
    settled: Vec<Finding>,
}

impl Findings {
    /// Begins the findings about a file of this text.
    pub fn new(file: &Path, document: Document) -> Self {
        let document = Some(document);
        Self { file: file.to_owned(), document, located: Vec::new(), settled: Vec::new() }
    }

    /// Returns the one finding about a file that cannot be read.
    pub fn unreadable(file: &Path, message: String) -> Self {
        Self::only(file, None, message)
    }

    /// Returns the one finding about a file that cannot be parsed.
    pub fn unparsable(file: &Path, error: &SyntaxError) -> Self {
        Self::only(file, error.line, error.to_string())
    }

    fn only(file: &Path, line: Option<usize>, message: String) -> Self {
        let file = file.to_owned();
        let severity = Severity::Error;
        let settled = vec![Finding { file: file.clone(), line, severity, message }];
        Self { file, document: None, located: Vec::new(), settled }
    }

    /// Adds a finding about a node of the file.
    pub fn push(&mut self, node: NodeId, severity: Severity, message: String) {
        self.located.push(Located { node, severity, message });
    }

    /// Adds the findings about a file that this one names.
    pub fn append(&mut self, other: Self) {
        self.settled.extend(other.into_sorted());
    }

    /// Returns whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        let settled = self.settled.iter().map(|finding| finding.severity);
        let mut all = settled.chain(self.located.iter().map(|finding| finding.severity));
        all.any(|severity| severity == Severity::Error)
    }

    /// Returns each finding once, in the order of the lines; those of other files come last.
    pub fn into_sorted(self) -> Vec<Finding> {
        let Self { file, document, located, settled: mut all } = self;
        let nodes = located.iter().map(|finding| finding.node).collect();
        let lines = document.map(|document| document.lines(nodes)).unwrap_or_default();
        let mut seen = HashSet::with_capacity(located.len());
        for finding in &located {
            if seen.insert(finding) {
                all.push(Finding {
                    file: file.clone(),
                    line: lines.get(&finding.node).copied(),
                    severity: finding.severity,
                    message: finding.message.clone(),
                });
            }
        }
        all.sort_by_cached_key(|of| (of.file != file, of.file.clone(), of.line));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_twice_of_a_node_is_one_finding() {
        let (document, root) = Document::parse("a: 1\n".to_owned()).unwrap();
        let mut findings = Findings::new(Path::new("a.yml"), document);
        for message in ["x", "x", "y"] {
            findings.push(root.id, Severity::Warning, message.to_owned());
        }
        assert!(!findings.has_errors());
        let said: Vec<String> = findings.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(said, ["a.yml:1: warning: x", "a.yml:1: warning: y"]);
    }
}
