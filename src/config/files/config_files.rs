//! The files a configuration is made of: read once each, and remembered by content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::file_pattern::FilePattern;
use super::secret::Secret;

/// The most bytes that a file may have. No certificate bundle is this large; a device or a runaway
/// file is.
const MAX_FILE_SIZE: u64 = 16 * 1024 * 1024;

/// A file or a directory that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}: {error}", path.display())]
pub struct ReadError {
    path: PathBuf,
    error: std::io::Error,
}

/// The memory of one reading, empty once it is over.
#[derive(Debug, Clone, Default)]
struct ReadingMemory {
    /// The paths of files that are YAML, and whether the last line of each has an end.
    texts: BTreeMap<PathBuf, bool>,
    /// The contents so far: a CA may be that of a thousand routes.
    contents: BTreeMap<PathBuf, Secret>,
}

/// The files of targets of one reading.
#[derive(Debug, Clone, Default)]
struct TargetFiles {
    /// The contents that stand for those of the files.
    substitutes: TargetContents,
    /// The contents that are in force.
    in_force: TargetContents,
    /// The files that were read or tried.
    paths: BTreeSet<PathBuf>,
    /// The content of each file, or what stood for it.
    contents: TargetContents,
}

/// Every file that was read, or tried, while a configuration was read.
#[derive(Debug, Clone)]
pub struct ConfigFiles {
    web_config: PathBuf,
    /// The SHA-256 of each file; `None` for one that could not be read.
    files: Vec<(PathBuf, Option<[u8; 32]>)>,
    /// Each pattern, and whether its directory could be read.
    patterns: Vec<(FilePattern, bool)>,
    memory: Box<ReadingMemory>,
    targets: Box<TargetFiles>,
}

/// The contents of files of targets, by path.
pub type TargetContents = BTreeMap<PathBuf, Secret>;

impl ConfigFiles {
    /// Begins with no file; relative paths are relative to the directory of `web_config`.
    pub fn new(web_config: &Path) -> Self {
        Self {
            web_config: web_config.to_owned(),
            files: Vec::new(),
            patterns: Vec::new(),
            memory: Box::default(),
            targets: Box::default(),
        }
    }

    /// Takes `substitutes` for the contents of files of targets, and compares with those `in_force`.
    pub fn with_targets(self, substitutes: TargetContents, in_force: TargetContents) -> Self {
        let targets = TargetFiles { substitutes, in_force, ..TargetFiles::default() };
        Self { targets: Box::new(targets), ..self }
    }

    /// Returns whether a file of targets is as the one in force.
    pub fn is_in_force(&self, path: &Path) -> bool {
        let TargetFiles { contents, in_force, .. } = self.targets.as_ref();
        contents.get(path).is_some_and(|content| in_force.get(path) == Some(content))
    }

    /// Reads a file of targets, or takes what stands for it.
    ///
    /// # Errors
    ///
    /// Returns the same as [`Self::read`].
    pub fn read_targets(&mut self, path: &Path) -> Result<Secret, ReadError> {
        self.targets.paths.insert(path.to_owned());
        let content = self.read(path);
        let content = match self.targets.substitutes.get(path) {
            Some(substitute) => substitute.clone(),
            None => content?,
        };
        self.targets.contents.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// Returns whether other content stands for that of this file of targets.
    pub fn is_substituted(&self, path: &Path) -> bool {
        self.targets.substitutes.contains_key(path)
    }

    /// Returns the contents of the files of targets.
    pub fn targets(&self) -> &TargetContents {
        &self.targets.contents
    }

    /// Returns whether this is a file of targets.
    pub fn is_targets(&self, path: &Path) -> bool {
        self.targets.paths.contains(path)
    }

    /// Reads a file of at most 16 MiB, or returns what it held when it was read before.
    ///
    /// # Errors
    ///
    /// Returns the path and why it cannot be read; the path is remembered all the same.
    pub fn read(&mut self, path: &Path) -> Result<Secret, ReadError> {
        if let Some(content) = self.memory.contents.get(path) {
            return Ok(content.clone());
        }
        let result = read_regular(path);
        let digest = result.as_ref().ok().map(|content| Sha256::digest(content).into());
        self.files.push((path.to_owned(), digest));
        let content =
            result.map(Secret::new).map_err(|error| ReadError { path: path.to_owned(), error })?;
        self.memory.contents.insert(path.to_owned(), content.clone());
        Ok(content)
    }

    /// Remembers whether the last line of a YAML file has an end.
    pub fn note_text(&mut self, path: &Path, ends_in_newline: bool) {
        self.memory.texts.insert(path.to_owned(), ends_in_newline);
    }

    /// Forgets the contents, and returns what [`Self::note_text`] was told. To be called once
    /// everything is read.
    pub fn take_texts(&mut self) -> BTreeMap<PathBuf, bool> {
        std::mem::take(&mut self.memory).texts
    }

    /// Finds the files of a pattern at this time, and remembers the pattern.
    ///
    /// # Errors
    ///
    /// Returns the directory and why it cannot be read.
    pub fn find(&mut self, pattern: FilePattern) -> Result<Vec<PathBuf>, ReadError> {
        let result = match pattern.single() {
            Some(file) => Ok(vec![file]),
            None => pattern
                .files()
                .map_err(|error| ReadError { path: pattern.directory().to_owned(), error }),
        };
        self.patterns.push((pattern, result.is_ok()));
        result
    }

    /// Returns the directory that relative paths are relative to.
    pub fn directory(&self) -> &Path {
        self.web_config.parent().unwrap_or(Path::new(""))
    }

    /// Returns the path of the web configuration itself.
    pub fn web_config(&self) -> &Path {
        &self.web_config
    }

    /// Returns the paths that were read or tried, in that order.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| path.as_path())
    }

    /// Returns the patterns that were looked for.
    pub fn patterns(&self) -> impl Iterator<Item = &FilePattern> {
        self.patterns.iter().map(|(pattern, _)| pattern)
    }

    /// Returns a SHA-256 over each path, whether it could be read, and what it held.
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

/// Reads a regular file: a pipe or a device could block the reload for ever. The file is looked at once
/// it is open, since another could have taken its place in between.
fn read_regular(path: &Path) -> std::io::Result<Vec<u8>> {
    let invalid = |what| std::io::Error::new(std::io::ErrorKind::InvalidInput, what);
    // Opening a pipe would wait for its writer.
    let not_blocking = i32::try_from(OFlags::NONBLOCK.bits()).map_err(std::io::Error::other)?;
    let file = File::options().read(true).custom_flags(not_blocking).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(invalid("not a regular file"));
    }
    let mut content =
        Vec::with_capacity(usize::try_from(metadata.len().min(MAX_FILE_SIZE)).unwrap_or(0));
    file.take(MAX_FILE_SIZE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_SIZE {
        return Err(invalid("larger than 16 MiB"));
    }
    Ok(content)
}
