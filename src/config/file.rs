//! A YAML or JSON file that the web configuration names.

use std::path::{Path, PathBuf};

use super::document::Document;
use super::findings::{Findings, Problems};
use super::node::Node;
use super::sources::ConfigFiles;

/// What it holds, and what is wrong with that.
pub struct File {
    path: PathBuf,
    pub root: Node,
    pub problems: Problems,
}

impl File {
    /// Noted among the sources.
    pub fn parse(path: &Path, content: &[u8], sources: &mut ConfigFiles) -> Result<Self, Findings> {
        let broken = |line, message: &str| {
            let mut findings = Findings::new(path, None);
            findings.push_at_line(line, message);
            findings
        };
        let text = std::str::from_utf8(content).map_err(|_| broken(None, "not UTF-8 text"))?;
        let (document, root) =
            Document::parse(text.to_owned()).map_err(|error| broken(error.line, &error.message))?;
        sources.note_text(path, document.ends_in_newline());
        Ok(Self { path: path.to_owned(), root, problems: Problems::of(document) })
    }

    pub fn into_findings(self) -> Findings {
        Findings::from_problems(&self.path, self.problems)
    }
}
