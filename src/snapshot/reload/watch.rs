//! Finds the directories to watch for a set of files, and the events that may mean a change of one.
//!
//! Directories are watched instead of files, since a watch on a file stays with the old inode when
//! the file is replaced. Every directory that a symbolic link on the path leads through is watched,
//! too, so that a swap of Kubernetes' `..data` or of certbot's `live` links is noticed.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::config::{ConfigFiles, FilePattern};

/// Symbolic links followed before a path counts as a loop, as in the kernel (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Watches the directories of a set of files.
pub struct Watcher {
    /// `None`: the system provides no watches, and only the content check finds changes.
    notify: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    /// The names of the watched files and of all links on the paths to them.
    names: HashSet<PathBuf>,
    /// The patterns whose files may come and go, each with its directory.
    patterns: Vec<(FilePattern, PathBuf)>,
    /// True if a directory was removed or replaced, which ends its watch.
    is_stale: bool,
    /// The files that were written to and not closed yet, each with the time of its last write.
    open_writers: HashMap<PathBuf, Instant>,
}

/// The time for which a file counts as being written after its last write. A file that is still open then
/// lost its close event, or was cut by truncate(2), which has none.
const WRITER_TIMEOUT: Duration = Duration::from_secs(300);

impl Watcher {
    /// Creates a watcher without watches. `on_event` is called on a thread of notify.
    pub fn new(on_event: impl FnMut(notify::Result<Event>) + Send + 'static) -> Self {
        let notify = notify::recommended_watcher(on_event)
            .inspect_err(|error| {
                tracing::warn!(
                    err = %error,
                    "No file watches, changes are found by the content check alone"
                );
            })
            .ok();
        Self {
            notify,
            directories: BTreeSet::new(),
            names: HashSet::new(),
            patterns: Vec::new(),
            is_stale: false,
            open_writers: HashMap::new(),
        }
    }

    /// Watches these files from now on, and no others.
    pub fn follow(&mut self, files: &ConfigFiles) {
        let mut names = HashSet::new();
        for file in files.paths() {
            collect_names(file, &mut names);
        }
        for pattern in files.patterns() {
            collect_names(pattern.directory(), &mut names);
        }
        // Canonical, as in events: a directory has one watch, whatever links lead to it.
        let in_directory = |pattern: &FilePattern| {
            Some((pattern.clone(), pattern.directory().canonicalize().ok()?))
        };
        self.patterns = files.patterns().filter_map(in_directory).collect();
        let mut directories: BTreeSet<PathBuf> =
            names.iter().filter_map(|name| name.parent()).map(Path::to_owned).collect();
        directories.extend(self.patterns.iter().map(|(_, directory)| directory.clone()));
        self.watch(directories);
        self.names = names;
        self.is_stale = false;
        let mut open_writers = std::mem::take(&mut self.open_writers);
        open_writers.retain(|path, _| self.is_watched(path));
        self.open_writers = open_writers;
    }

    /// Returns whether the same files have to be followed anew.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn is_watched(&self, path: &Path) -> bool {
        let is_matched = |(pattern, directory): &(FilePattern, PathBuf)| {
            path.parent() == Some(directory) && pattern.matches_name(path)
        };
        self.names.contains(path) || self.patterns.iter().any(is_matched)
    }

    fn watch(&mut self, directories: BTreeSet<PathBuf>) {
        let Some(notify) = &mut self.notify else { return };
        for gone in self.directories.difference(&directories) {
            // Fails if the directory itself is gone.
            let _ = notify.unwatch(gone);
        }
        for directory in &directories {
            // Replaces a watch that exists, since the directory may be a new one of the same name.
            let _ = notify.unwatch(directory);
            if let Err(error) = notify.watch(directory, RecursiveMode::NonRecursive) {
                let directory = directory.display();
                tracing::warn!(%directory, err = %error, "Cannot watch directory");
            }
        }
        self.directories = directories;
    }

    /// Records an event, and returns whether it may have changed the content of the files.
    pub fn record(&mut self, event: &notify::Result<Event>) -> bool {
        let Ok(event) = event else {
            // Events may be missing, so the files may have changed.
            return true;
        };
        if event.need_rescan() {
            // Events are missing, and among them perhaps those of closed files.
            self.open_writers.clear();
            return true;
        }
        let watched: Vec<&PathBuf> = event
            .paths
            .iter()
            .filter(|path| self.is_watched(path) || self.directories.contains(*path))
            .collect();
        if watched.is_empty() {
            return false;
        }
        let may_replace_directory = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_)
        );
        self.is_stale |=
            may_replace_directory && watched.iter().any(|path| self.directories.contains(*path));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) => {
                watched.iter().for_each(|path| {
                    self.open_writers.remove(*path);
                });
                true
            }
            EventKind::Modify(ModifyKind::Data(_)) => {
                self.begin_writing(watched.into_iter());
                true
            }
            EventKind::Create(CreateKind::File) => {
                self.begin_writing(watched.into_iter().filter(|path| is_new_file(path)));
                true
            }
            EventKind::Modify(ModifyKind::Name(mode)) => {
                if matches!(mode, RenameMode::To | RenameMode::From) {
                    watched.iter().for_each(|path| {
                        self.open_writers.remove(*path);
                    });
                }
                true
            }
            EventKind::Access(_) => false,
            _ => true,
        }
    }

    fn begin_writing<'a>(&mut self, paths: impl Iterator<Item = &'a PathBuf>) {
        let now = Instant::now();
        self.open_writers.extend(paths.map(|path| (path.clone(), now)));
    }

    /// Returns whether a writer has one of the files open, as far as the events show.
    pub fn is_being_written(&self) -> bool {
        self.open_writers.values().any(|last_write| last_write.elapsed() < WRITER_TIMEOUT)
    }
}

/// Returns whether a new name is a file that its creator is about to write and close. A symbolic or
/// hard link is complete from the beginning.
fn is_new_file(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

/// Collects the absolute name of `path` and the names of all links and files that it leads through.
fn collect_names(path: &Path, names: &mut HashSet<PathBuf>) {
    let Ok(path) = std::path::absolute(path) else { return };
    let mut pending: Vec<PathBuf> = vec![path];
    for _ in 0..MAX_LINKS {
        let Some(path) = pending.pop() else { return };
        if let Some(target) = follow_first_link(&path, names) {
            pending.push(target);
        }
    }
}

/// Returns `path` with its first link followed, and collects the name of that link; without a link,
/// collects the name of the file and returns `None`.
fn follow_first_link(path: &Path, names: &mut HashSet<PathBuf>) -> Option<PathBuf> {
    let mut walked = PathBuf::new();
    let mut components = path.components();
    while let Some(component) = components.next() {
        match component {
            Component::ParentDir => {
                walked.pop();
            }
            Component::CurDir => {}
            other => walked.push(other),
        }
        if let Ok(target) = std::fs::read_link(&walked) {
            names.insert(walked.clone());
            walked.pop();
            // `join` replaces the walked path if the target is absolute.
            return Some(walked.join(target).join(components.as_path()));
        }
    }
    names.insert(walked);
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_of_kubernetes_are_followed() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("..2026")).unwrap();
        std::fs::write(root.join("..2026/web.yml"), "").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/web.yml", root.join("web.yml")).unwrap();
        let mut names = HashSet::new();
        collect_names(&root.join("web.yml"), &mut names);
        let expected = ["web.yml", "..data", "..2026/web.yml"];
        assert_eq!(names, expected.iter().map(|name| root.join(name)).collect());
    }

    #[test]
    fn a_loop_of_links_is_left() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        let mut names = HashSet::new();
        collect_names(&root.path().join("a"), &mut names);
        assert!(names.len() >= 2);
    }
}
