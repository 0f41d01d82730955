//! The files a configuration is made of: read once each, and remembered by content.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::file_pattern::FilePattern;
use super::secret::Secret;

/// No certificate bundle is this large; a device or a runaway file is.
const MAX_FILE_SIZE: u64 = 16 * 1024 * 1024;

/// What is of use while files are read.
#[derive(Debug, Clone, Default)]
struct Reading {
    /// Of each file that is YAML, whether the last line has an end.
    texts: BTreeMap<PathBuf, bool>,
    /// A CA may be that of a thousand routes.
    contents: BTreeMap<PathBuf, Secret>,
}

/// Every file that was read, or tried.
#[derive(Debug, Clone)]
pub struct ConfigFiles {
    web_config: PathBuf,
    files: Vec<(PathBuf, Option<[u8; 32]>)>,
    /// Whether its directory could be read.
    patterns: Vec<(FilePattern, bool)>,
    /// Until all is read.
    reading: Box<Reading>,
}

impl ConfigFiles {
    pub(super) fn new(web_config: &Path) -> Self {
        Self {
            web_config: web_config.to_owned(),
            files: Vec::new(),
            patterns: Vec::new(),
            reading: Box::default(),
        }
    }

    /// Read a file and remember it. The error is for the user.
    pub(super) fn read(&mut self, path: &Path) -> Result<Secret, String> {
        if let Some(content) = self.reading.contents.get(path) {
            return Ok(content.clone());
        }
        let result = read_regular(path);
        let digest = result.as_ref().ok().map(|content| Sha256::digest(content).into());
        self.files.push((path.to_owned(), digest));
        let content = result
            .map(Secret::new)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        self.reading.contents.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    pub(super) fn note_text(&mut self, path: &Path, ends_in_newline: bool) {
        self.reading.texts.insert(path.to_owned(), ends_in_newline);
    }

    /// To be called once everything is read.
    pub(super) fn take_texts(&mut self) -> BTreeMap<PathBuf, bool> {
        std::mem::take(&mut self.reading).texts
    }

    /// The files of a pattern at this time.
    pub(super) fn find(&mut self, pattern: FilePattern) -> Result<Vec<PathBuf>, String> {
        let result = match pattern.single() {
            Some(file) => Ok(vec![file]),
            None => pattern
                .files()
                .map_err(|error| format!("cannot read {}: {error}", pattern.directory().display())),
        };
        self.patterns.push((pattern, result.is_ok()));
        result
    }

    /// The directory that relative paths are relative to.
    pub(super) fn directory(&self) -> &Path {
        self.web_config.parent().unwrap_or(Path::new(""))
    }

    pub fn web_config(&self) -> &Path {
        &self.web_config
    }

    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    pub fn patterns(&self) -> impl Iterator<Item = &FilePattern> {
        self.patterns.iter().map(|(pattern, _)| pattern)
    }

    /// Tells one set of contents from another, over each path and whether it could be read.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (path, content) in &self.files {
            let path = path.as_os_str().as_encoded_bytes();
            hasher.update((path.len() as u64).to_le_bytes());
            hasher.update(path);
            hasher.update([u8::from(content.is_some())]);
            hasher.update(content.unwrap_or_default());
        }
        for (_, is_readable) in &self.patterns {
            hasher.update([u8::from(*is_readable)]);
        }
        hasher.finalize().into()
    }
}

/// A pipe or a device could block the reload for ever.
fn read_regular(path: &Path) -> std::io::Result<Vec<u8>> {
    let invalid = |what| std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(invalid("not a regular file"));
    }
    if metadata.len() > MAX_FILE_SIZE {
        return Err(invalid("larger than 16 MiB"));
    }
    let mut content = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    std::fs::File::open(path)?.take(MAX_FILE_SIZE).read_to_end(&mut content)?;
    Ok(content)
}
