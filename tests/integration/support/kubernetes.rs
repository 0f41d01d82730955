//! What the kubelet does with files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A ConfigMap or Secret that is mounted as a directory: `..data` points to a directory with the
/// files, and is pointed to another one by a rename.
pub struct Volume<'a> {
    root: &'a Path,
    count: u32,
}

impl<'a> Volume<'a> {
    pub fn new(root: &'a Path, files: &[(&str, &str)]) -> Self {
        fs::create_dir_all(root).unwrap();
        let mut volume = Self { root, count: 0 };
        volume.update(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), root.join(name)).unwrap();
        }
        volume
    }

    pub fn update(&mut self, files: &[(&str, &str)]) {
        self.count += 1;
        let name = format!("..2026_11_23_{}", self.count);
        fs::create_dir(self.root.join(&name)).unwrap();
        for (file, content) in files {
            fs::write(self.root.join(&name).join(file), content).unwrap();
        }
        let old = fs::read_link(self.root.join("..data"));
        symlink(&name, self.root.join("..data_tmp")).unwrap();
        fs::rename(self.root.join("..data_tmp"), self.root.join("..data")).unwrap();
        if let Ok(old) = old {
            fs::remove_dir_all(self.root.join(old)).unwrap();
        }
    }
}
