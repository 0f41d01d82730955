//! Files of one directory by a pattern of their names, as Prometheus's `file_sd_configs` has them.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

const ENDINGS: [&str; 3] = ["json", "yml", "yaml"];

/// The files of one directory whose names match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    directory: PathBuf,
    name: Pattern,
}

/// A text that is no pattern of files.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilePatternError {
    /// The name ends in something that Prometheus would not read.
    #[error("expected a file, or a pattern of files, that ends in .json, .yml or .yaml")]
    Ending,
    /// The directory is a pattern, or not UTF-8.
    #[error("only the name of the file may hold a *, not its directory")]
    Directory,
    /// The name is no pattern.
    #[error("{0}")]
    Name(&'static str),
}

impl FilePattern {
    /// Parses a path relative to `base`. The directory is taken as it is: only the name of the file
    /// is a pattern.
    ///
    /// # Errors
    ///
    /// Returns which part of the path is wrong.
    pub fn parse(text: &str, base: &Path) -> Result<Self, FilePatternError> {
        let path = base.join(text);
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !ENDINGS.contains(&ending.to_ascii_lowercase().as_str()) {
            return Err(FilePatternError::Ending);
        }
        let directory = path.parent().unwrap_or(Path::new("")).to_owned();
        if directory.to_str().is_none_or(|directory| directory.contains('*')) {
            return Err(FilePatternError::Directory);
        }
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = Pattern::new(name).map_err(|error| FilePatternError::Name(error.msg))?;
        Ok(Self { directory, name })
    }

    /// Returns the directory of the files.
    pub fn directory(&self) -> &Path {
        if self.directory == Path::new("") { Path::new(".") } else { &self.directory }
    }

    /// Returns the one file of a pattern without wildcards.
    pub fn single(&self) -> Option<PathBuf> {
        let name = self.name.as_str();
        (!name.contains(['*', '?', '['])).then(|| self.directory.join(name))
    }

    /// Returns whether the name of a file matches, wherever the file is.
    pub fn matches_name(&self, path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str());
        // Hidden files are the locks and copies of editors.
        let options = MatchOptions { require_literal_leading_dot: true, ..MatchOptions::new() };
        name.is_some_and(|name| self.name.matches_with(name, options))
    }

    /// Lists the files that there are, in the order of their names.
    ///
    /// # Errors
    ///
    /// Returns why the directory cannot be read.
    pub fn files(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(self.directory())? {
            let path = self.directory.join(entry?.file_name());
            if self.matches_name(&path) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_a_pattern_and_the_directory_is_not() {
        let base = Path::new("/etc/guard");
        let pattern = FilePattern::parse("sd/*.yml", base).unwrap();
        assert_eq!(pattern.directory(), Path::new("/etc/guard/sd"));
        assert!(pattern.matches_name(Path::new("/elsewhere/a.yml")));
        for other in ["a.yaml", ".#a.yml", ".a.yml"] {
            assert!(!pattern.matches_name(Path::new(other)), "{other}");
        }
        assert!(pattern.single().is_none());
        let single = FilePattern::parse("a.json", base).unwrap().single();
        assert_eq!(single, Some("/etc/guard/a.json".into()));
        for wrong in ["a", "a.txt", "*/a.yml", "[.yml", "sd/"] {
            assert!(FilePattern::parse(wrong, base).is_err(), "{wrong}");
        }
    }
}
