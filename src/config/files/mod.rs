//! The files of a configuration: read once each and remembered by content, found by pattern, and
//! parsed where they are YAML. Knows nothing of what they are for.

mod config_files;
mod file_pattern;
mod secret;
mod yaml_file;

pub use config_files::{ConfigFiles, TargetContents};
pub use file_pattern::FilePattern;
pub use secret::{Secret, is_pem, presentable};
pub use yaml_file::YamlFile;
