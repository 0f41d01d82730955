//! The findings about one file while it is read, and the files that are read along with it.

use std::cell::{RefCell, RefMut};

use crate::config::files::{ConfigFiles, Secret, YamlFile};
use crate::config::yaml::{Findings, NodeId, Severity};

use super::value::TextValue;

/// Collects what is found while the values of one file are read. Every [`super::Value`] knows its
/// reader, so that nothing else has to be passed along.
pub struct Reader<'f> {
    findings: RefCell<Findings>,
    files: &'f RefCell<ConfigFiles>,
}

impl<'f> Reader<'f> {
    /// Begins with the findings so far, and with the files that all readers share.
    pub fn new(findings: Findings, files: &'f RefCell<ConfigFiles>) -> Self {
        Self { findings: RefCell::new(findings), files }
    }

    /// Begins the reading of a file that this one names.
    pub fn other(&self, findings: Findings) -> Self {
        Self::new(findings, self.files)
    }

    /// Returns all that was found.
    pub fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }

    /// Returns the files that were read so far. Not to be held while a value is read.
    pub fn files(&self) -> RefMut<'_, ConfigFiles> {
        self.files.borrow_mut()
    }

    /// Adds the findings about a file that this one names.
    pub fn append(&self, findings: Findings) {
        self.findings.borrow_mut().append(findings);
    }

    /// Adds an error about a node.
    pub fn error(&self, node: NodeId, message: String) {
        self.findings.borrow_mut().push(node, Severity::Error, message);
    }

    /// Adds a warning about a node.
    pub fn warning(&self, node: NodeId, message: String) {
        self.findings.borrow_mut().push(node, Severity::Warning, message);
    }

    /// Reads the file at `path`; `None` when it cannot be read, which is an error at `name`.
    pub fn read_file(&self, name: &TextValue<'_>, path: &std::path::Path) -> Option<Secret> {
        let result = self.files().read(path);
        result.map_err(|error| name.error(&error)).ok()
    }

    /// Reads and parses the YAML file at `path`; `None` when that fails, which is an error at `name`
    /// or a finding about the file.
    pub fn read_yaml(&self, name: &TextValue<'_>, path: &std::path::Path) -> Option<YamlFile> {
        let content = self.read_file(name, path)?;
        let file = YamlFile::parse(path, content.to_vec(), &mut self.files());
        file.map_err(|findings| self.append(findings)).ok()
    }
}
