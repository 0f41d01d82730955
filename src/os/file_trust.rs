//! The question who else could have written a file, answered as ssh does (StrictModes in
//! sshd_config(5)).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid};

/// Permission bits (inode(7)).
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
/// The bit of a directory where only the owner of a file may remove or rename it.
const STICKY: u32 = 0o1000;

/// A file that another user could have written, or put there.
#[derive(Debug, thiserror::Error)]
pub enum UntrustedFile {
    /// The file or a directory above it belongs to another user.
    #[error("{} belongs to user {uid}, who could change what is read", .path.display())]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The file or a directory above it can be written by other users.
    #[error("{} can be written by other users; chmod go-w", .path.display())]
    Mode {
        /// The file or directory.
        path: PathBuf,
    },
    /// The file cannot be looked at.
    #[error("cannot look at {}: {cause}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        cause: io::Error,
    },
}

/// Checks that nobody but this user and root can write a file, or rename another one to its path.
///
/// # Errors
///
/// Returns the file or the directory above it that another user can change.
pub fn check(file: &Path) -> Result<(), UntrustedFile> {
    let unreadable = |cause| UntrustedFile::Unreadable { path: file.to_owned(), cause };
    let file = file.canonicalize().map_err(unreadable)?;
    for path in file.ancestors() {
        let metadata = fs::metadata(path).map_err(unreadable)?;
        if !is_own(metadata.uid()) {
            return Err(UntrustedFile::Owner { path: path.to_owned(), uid: metadata.uid() });
        }
        if is_written_by_others(metadata.mode(), metadata.gid(), metadata.is_dir()) {
            return Err(UntrustedFile::Mode { path: path.to_owned() });
        }
    }
    Ok(())
}

fn is_own(uid: u32) -> bool {
    uid == 0 || uid == geteuid().as_raw()
}

/// A group of the user's own may write: it is a user's private group where the umask is 002.
fn is_written_by_others(mode: u32, gid: u32, is_directory: bool) -> bool {
    let is_sticky = is_directory && mode & STICKY != 0;
    let by_group = mode & GROUP_WRITES != 0 && gid != 0 && gid != getegid().as_raw();
    let by_others = mode & OTHERS_WRITE != 0;
    !is_sticky && (by_group || by_others)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_trusted_unless_others_can_write_it_or_its_directory() {
        // Below a directory with the sticky bit.
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("web.yml");
        fs::write(&file, "").expect("written");
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("own file");
        };
        for (file_mode, directory_mode, is_trusted) in [
            (0o600, 0o700, true),
            (0o644, 0o755, true),
            (0o646, 0o755, false),
            (0o644, 0o757, false),
            (0o644, 0o1777, true),
        ] {
            set(&file, file_mode);
            set(directory.path(), directory_mode);
            assert_eq!(check(&file).is_ok(), is_trusted, "{file_mode:o} {directory_mode:o}");
        }
        assert!(check(&directory.path().join("absent")).is_err());
    }
}
