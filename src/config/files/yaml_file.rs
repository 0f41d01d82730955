//! A YAML or JSON file that the web configuration names.

use std::path::Path;

use super::config_files::ConfigFiles;
use crate::config::yaml::{Document, Findings, Node};

/// The content of such a file, and the findings about it so far.
pub struct YamlFile {
    /// The root of the tree.
    pub root: Node,
    /// The findings, which hold the text that lines are found in.
    pub findings: Findings,
}

impl YamlFile {
    /// Parses `content`, and notes in `files` whether its last line has an end.
    ///
    /// # Errors
    ///
    /// Returns the one finding about a file that is not UTF-8, or no YAML.
    pub fn parse(path: &Path, content: Vec<u8>, files: &mut ConfigFiles) -> Result<Self, Findings> {
        let text = String::from_utf8(content)
            .map_err(|_| Findings::unreadable(path, "not UTF-8 text".to_owned()))?;
        let (document, root) =
            Document::parse(text).map_err(|error| Findings::unparsable(path, &error))?;
        files.note_text(path, document.ends_in_newline());
        Ok(Self { root, findings: Findings::new(path, document) })
    }
}
