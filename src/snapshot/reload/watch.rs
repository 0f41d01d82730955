//! Which directories to watch for a set of files, and which events say that one changed.
//!
//! Directories, not files: a watch on a file stays with the old inode when the file is replaced.
//! Every directory that a symbolic link on the way passes through is watched, too, so that the
//! swap of Kubernetes' `..data` or of certbot's `live` links is seen.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::config::{ConfigFiles, FilePattern};

/// Links followed before a path counts as a loop, as the kernel has it (path_resolution(7)).
const MAX_LINKS: usize = 40;

pub struct Watcher {
    /// `None`: no watches to be had; the content check is what is left.
    notify: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    /// Every name on the way to a watched file, links included.
    names: HashSet<PathBuf>,
    /// Whose files may come and go, and the directory they are in.
    patterns: Vec<(FilePattern, PathBuf)>,
    /// Whether a directory has gone, and with it the watch.
    is_stale: bool,
    /// Files with writes that no close has followed yet, since when.
    open: HashMap<PathBuf, Instant>,
}

/// No writer takes this long. What still counts as open then lost its close event, or was cut by
/// truncate(2), which has none.
const LONGEST_WRITER: Duration = Duration::from_secs(300);

impl Watcher {
    pub fn new(on_event: impl FnMut(notify::Result<Event>) + Send + 'static) -> Self {
        let notify = notify::recommended_watcher(on_event)
            .inspect_err(|error| {
                tracing::warn!(err = %error, "No file watches, changes are found by the content check alone");
            })
            .ok();
        Self {
            notify,
            directories: BTreeSet::new(),
            names: HashSet::new(),
            patterns: Vec::new(),
            is_stale: false,
            open: HashMap::new(),
        }
    }

    /// Watch these files from now on, and no others.
    pub fn follow(&mut self, sources: &ConfigFiles) {
        let mut names = HashSet::new();
        for file in sources.paths() {
            resolve(file, &mut names);
        }
        for pattern in sources.patterns() {
            resolve(pattern.directory(), &mut names);
        }
        // As events name it: a directory has one watch, whatever links lead to it.
        let in_directory = |pattern: &FilePattern| {
            Some((pattern.clone(), pattern.directory().canonicalize().ok()?))
        };
        self.patterns = sources.patterns().filter_map(in_directory).collect();
        let mut directories: BTreeSet<PathBuf> =
            names.iter().filter_map(|name| name.parent()).map(Path::to_owned).collect();
        directories.extend(self.patterns.iter().map(|(_, directory)| directory.clone()));
        self.watch(directories);
        self.names = names;
        self.is_stale = false;
        let mut open = std::mem::take(&mut self.open);
        open.retain(|path, _| self.is_ours(path));
        self.open = open;
    }

    /// Whether to follow the same files anew.
    pub fn is_stale(&self) -> bool {
        self.is_stale
    }

    fn is_ours(&self, path: &Path) -> bool {
        let is_new = |(pattern, directory): &(FilePattern, PathBuf)| {
            path.parent() == Some(directory) && pattern.matches_name(path)
        };
        self.names.contains(path) || self.patterns.iter().any(is_new)
    }

    fn watch(&mut self, directories: BTreeSet<PathBuf>) {
        let Some(notify) = &mut self.notify else { return };
        for gone in self.directories.difference(&directories) {
            // The directory may be gone itself.
            let _ = notify.unwatch(gone);
        }
        for directory in &directories {
            // Again even where a watch exists: the directory may be a new one by the same name.
            let _ = notify.unwatch(directory);
            if let Err(error) = notify.watch(directory, RecursiveMode::NonRecursive) {
                tracing::warn!(directory = %directory.display(), err = %error, "Cannot watch directory");
            }
        }
        self.directories = directories;
    }

    /// Take note of an event; whether it can have changed what the files hold.
    pub fn concerns(&mut self, event: &notify::Result<Event>) -> bool {
        let Ok(event) = event else {
            // An overflow of the queue, say: look.
            return true;
        };
        if event.need_rescan() {
            // Events are missing, closes among them.
            self.open.clear();
            return true;
        }
        let ours: Vec<&PathBuf> = event
            .paths
            .iter()
            .filter(|path| self.is_ours(path) || self.directories.contains(*path))
            .collect();
        if ours.is_empty() {
            return false;
        }
        let is_gone = matches!(
            event.kind,
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) | EventKind::Create(_)
        );
        self.is_stale |= is_gone && ours.iter().any(|path| self.directories.contains(*path));
        match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) => {
                ours.iter().for_each(|path| {
                    self.open.remove(*path);
                });
                true
            }
            EventKind::Modify(ModifyKind::Data(_)) => {
                self.begin_writing(ours.into_iter());
                true
            }
            EventKind::Create(CreateKind::File) => {
                self.begin_writing(ours.into_iter().filter(|path| is_new_file(path)));
                true
            }
            EventKind::Modify(ModifyKind::Name(mode)) => {
                if matches!(mode, RenameMode::To | RenameMode::From) {
                    ours.iter().for_each(|path| {
                        self.open.remove(*path);
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
        self.open.extend(paths.map(|path| (path.clone(), now)));
    }

    /// Whether a writer has one of the files open, as far as the events tell.
    pub fn being_written(&self) -> bool {
        self.open.values().any(|since| since.elapsed() < LONGEST_WRITER)
    }
}

/// A file that its creator is about to write and close; links are whole from the beginning.
fn is_new_file(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.nlink() == 1)
}

/// Collect the absolute name of `path` and of everything its links lead through.
fn resolve(path: &Path, names: &mut HashSet<PathBuf>) {
    let Ok(path) = std::path::absolute(path) else { return };
    let mut pending: Vec<PathBuf> = vec![path];
    for _ in 0..MAX_LINKS {
        let Some(path) = pending.pop() else { return };
        if let Some(target) = first_link(&path, names) {
            pending.push(target);
        }
    }
}

/// Walk `path` component by component; at the first link, the path with that link followed.
fn first_link(path: &Path, names: &mut HashSet<PathBuf>) -> Option<PathBuf> {
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
            // An absolute target replaces what was walked.
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
    fn follows_kubernetes_links() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("..2026")).unwrap();
        std::fs::write(root.join("..2026/web.yml"), "").unwrap();
        symlink("..2026", root.join("..data")).unwrap();
        symlink("..data/web.yml", root.join("web.yml")).unwrap();
        let mut names = HashSet::new();
        resolve(&root.join("web.yml"), &mut names);
        let expected = ["web.yml", "..data", "..2026/web.yml"];
        assert_eq!(names, expected.iter().map(|name| root.join(name)).collect());
    }

    #[test]
    fn a_loop_of_links_ends() {
        let root = tempfile::tempdir().unwrap();
        symlink("b", root.path().join("a")).unwrap();
        symlink("a", root.path().join("b")).unwrap();
        let mut names = HashSet::new();
        resolve(&root.path().join("a"), &mut names);
        assert!(names.len() >= 2);
    }
}
