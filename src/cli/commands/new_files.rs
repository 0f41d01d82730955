//! New files and directories: existing ones are not overwritten, and those of a failed run are
//! removed again.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file or directory that cannot be created.
#[derive(Debug, thiserror::Error)]
#[error("cannot create {}: {cause}", .path.display())]
pub struct CreateError {
    /// The path.
    pub path: PathBuf,
    /// The error of the operating system.
    #[source]
    pub cause: io::Error,
}

/// The files and directories that this run has created, in order. Dropped without
/// [`NewFiles::keep`], it removes them.
#[derive(Default)]
#[must_use]
pub struct NewFiles {
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl NewFiles {
    /// Creates a directory, with the directories that are missing above it.
    ///
    /// A directory that is created gets `mode` whatever the umask; one that exists keeps its own.
    ///
    /// # Errors
    ///
    /// Returns the directory that cannot be created.
    pub fn directory(&mut self, path: &Path, mode: u32) -> Result<(), CreateError> {
        let missing: Vec<_> = path.ancestors().take_while(|path| !exists(path)).collect();
        for path in missing.into_iter().rev() {
            let at = |cause| CreateError { path: path.to_owned(), cause };
            DirBuilder::new().mode(mode).create(path).map_err(at)?;
            self.directories.push(path.to_owned());
            std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(at)?;
            sync_directory(path.parent());
        }
        Ok(())
    }

    /// Creates a file with this content, synced to the disk.
    ///
    /// The file gets `mode` whatever the umask, and at no moment has a wider one.
    ///
    /// # Errors
    ///
    /// Returns an error when the file exists or cannot be written.
    pub fn file(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<(), CreateError> {
        let at = |cause| CreateError { path: path.to_owned(), cause };
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path).map_err(at)?;
        self.files.push(path.to_owned());
        file.set_permissions(Permissions::from_mode(mode)).map_err(at)?;
        file.write_all(content).map_err(at)?;
        file.sync_all().map_err(at)?;
        sync_directory(path.parent());
        Ok(())
    }

    /// Keeps the files and directories.
    pub fn keep(mut self) {
        self.directories.clear();
        self.files.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        // The next run reports a file that cannot be removed as existing. A directory in which
        // another program has created files by now is not empty, and stays.
        for path in self.files.iter().rev() {
            let _ = std::fs::remove_file(path);
        }
        for path in self.directories.iter().rev() {
            let _ = std::fs::remove_dir(path);
        }
    }
}

/// Returns whether there is a file at `path`, be it a dangling symbolic link, which is not
/// overwritten either.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Syncs a directory: the name of a new file is on the disk only once its directory is (fsync(2)).
///
/// A failure is ignored: some file systems do not sync directories (EINVAL), and the content of the
/// file is on the disk already.
fn sync_directory(path: Option<&Path>) {
    if let Some(directory) = path.and_then(|path| File::open(path).ok()) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_only_what_was_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let before = directory.path().join("before");
        std::fs::write(&before, "mine").unwrap();
        let (outer, inner) = (directory.path().join("a"), directory.path().join("a/b"));
        let mut files = NewFiles::default();
        files.directory(&inner, 0o755).unwrap();
        files.file(&inner.join("first"), 0o600, b"x").unwrap();
        let failure = files.file(&before, 0o600, b"y").unwrap_err();
        assert_eq!(failure.cause.kind(), io::ErrorKind::AlreadyExists);
        drop(files);
        assert!(!exists(&outer));
        assert_eq!(std::fs::read(&before).unwrap(), b"mine");
    }

    #[test]
    fn a_directory_with_a_foreign_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = NewFiles::default();
        let made = directory.path().join("made");
        files.directory(&made, 0o755).unwrap();
        std::fs::write(made.join("foreign"), "").unwrap();
        drop(files);
        assert!(exists(&made.join("foreign")));
    }

    #[test]
    fn an_existing_directory_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        let mut files = NewFiles::default();
        files.directory(directory.path(), 0o755).unwrap();
        files.keep();
        let mode = directory.path().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
}
