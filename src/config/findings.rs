//! What is wrong with a file, or worth a warning, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use super::document::{Document, NodePath};
use super::node::Node;

/// Finding a line means reading the file once more: beyond this many findings the lines are left
/// out, or a file with thousands of weak hashes would take minutes to load.
const MOST_LOCATED: usize = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is not used.
    Error,
    /// The file is used.
    Warning,
}

/// One line of `check`'s output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub file: PathBuf,
    /// From 1; `None` when it concerns the file as a whole.
    pub line: Option<usize>,
    pub severity: Severity,
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

/// Problems as they are met: places are paths, not yet lines.
pub struct Problems {
    document: Document,
    here: Vec<(NodePath, Severity, String)>,
    /// Of other files that this one names.
    elsewhere: Vec<Finding>,
}

impl Problems {
    /// Of this document.
    pub fn of(document: Document) -> Self {
        Self { document, here: Vec::new(), elsewhere: Vec::new() }
    }

    pub fn document(&self) -> &Document {
        &self.document
    }

    pub fn error(&mut self, node: &Node, message: impl Into<String>) {
        self.error_at(&node.path, message);
    }

    pub fn error_at(&mut self, path: &NodePath, message: impl Into<String>) {
        self.here.push((path.clone(), Severity::Error, message.into()));
    }

    pub fn warning(&mut self, node: &Node, message: impl Into<String>) {
        self.here.push((node.path.clone(), Severity::Warning, message.into()));
    }

    /// What was found in a file that this one names.
    pub fn of_file(&mut self, findings: Findings) {
        self.elsewhere.extend(findings.into_sorted());
    }
}

/// All findings about one file. Keeps its text, so that later stages can add to it by path.
pub struct Findings {
    file: PathBuf,
    document: Option<Document>,
    list: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(file: &Path, document: Option<Document>) -> Self {
        Self { file: file.to_owned(), document, list: Vec::new() }
    }

    pub(super) fn from_problems(file: &Path, problems: Problems) -> Self {
        let Problems { document, mut here, elsewhere } = problems;
        let mut findings = Self::new(file, Some(document));
        // Errors first, so that they have their lines.
        here.sort_by_key(|(_, severity, _)| *severity);
        for (path, severity, message) in here {
            findings.push(&path, severity, message);
        }
        findings.list.extend(elsewhere);
        findings
    }

    /// Add one about the node at `path`.
    pub fn push(&mut self, path: &NodePath, severity: Severity, message: String) {
        let document = self.document.as_ref().filter(|_| self.list.len() < MOST_LOCATED);
        let line = document.and_then(|document| document.line(path));
        self.list.push(Finding { file: self.file.clone(), line, severity, message });
    }

    /// Add an error about a line, or about the file as a whole.
    pub fn push_at_line(&mut self, line: Option<usize>, message: &str) {
        let message = message.to_owned();
        self.list.push(Finding {
            file: self.file.clone(),
            line,
            severity: Severity::Error,
            message,
        });
    }

    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// In the order of their lines, those of other files last.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        let place = |of: &Finding| (of.file != self.file, of.file.clone(), of.line);
        self.list.sort_by_cached_key(place);
        self.list
    }
}
