//! PEM files that a section names.

use crate::config::PemMaterial;
use crate::config::findings::Problems;
use crate::config::node::Section;
use crate::config::sources::ConfigFiles;

pub struct Files<'a> {
    pub section: &'a Section<'a>,
    /// Of the section, for messages.
    pub place: &'a str,
    pub sources: &'a mut ConfigFiles,
    pub problems: &'a mut Problems,
}

impl Files<'_> {
    /// `None` when it is not there, or cannot be read, which is a problem.
    pub fn read(&mut self, key: &str) -> Option<PemMaterial> {
        let node = self.section.get(key)?;
        let place = format!("{}.{key}", self.place);
        let path = self.sources.directory().join(node.string(&place, self.problems)?);
        match self.sources.read(&path) {
            Ok(pem) => Some(PemMaterial { pem, file: Some(path), place, path: node.path.clone() }),
            Err(message) => {
                self.problems.error(node, format!("{place}: {message}"));
                None
            }
        }
    }
}
