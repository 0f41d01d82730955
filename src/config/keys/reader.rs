//! The findings about one file while it is read, and the files that are read along with it.

use std::cell::{RefCell, RefMut};

use crate::config::files::ConfigFiles;
use crate::config::yaml::{Findings, NodeId, Severity};

/// Collects what is found while the values of one file are read. Every value knows its reader, so that
/// nothing else has to be passed along.
pub struct Reader<'f> {
    findings: RefCell<Findings>,
    files: &'f RefCell<ConfigFiles>,
    /// Returns the section that a key belongs to.
    home_of: fn(&str) -> Option<&'static str>,
}

impl<'f> Reader<'f> {
    /// Begins with the findings so far, with the files that all readers share, and with a function
    /// that returns the section that a key belongs to.
    pub fn new(
        findings: Findings,
        files: &'f RefCell<ConfigFiles>,
        home_of: fn(&str) -> Option<&'static str>,
    ) -> Self {
        Self { findings: RefCell::new(findings), files, home_of }
    }

    /// Returns the section that a key belongs to, if there is one.
    pub fn home_of(&self, key: &str) -> Option<&'static str> {
        (self.home_of)(key)
    }

    /// Begins the reading of a file that this one names.
    pub fn other(&self, findings: Findings) -> Self {
        Self::new(findings, self.files, self.home_of)
    }

    /// Returns all that was found.
    pub fn into_findings(self) -> Findings {
        self.findings.into_inner()
    }

    /// Returns the files that were read so far. Not to be held while a value is read.
    pub fn files(&self) -> RefMut<'_, ConfigFiles> {
        self.files.borrow_mut()
    }

    /// Returns whether an error has been found so far.
    pub fn has_errors(&self) -> bool {
        self.findings.borrow().has_errors()
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
}
