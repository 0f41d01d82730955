//! Paths that every program reads alike.

use std::borrow::Borrow;

/// A path that programs may read in different ways, or that is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    /// The path is relative.
    #[error("does not start with /; write for example /-/healthy")]
    Relative,
    /// The path has a character with another spelling or a meaning of its own.
    #[error("holds a character that is not plain in a path; queries, % and ; are not")]
    Character,
    /// The path has a segment that programs remove.
    #[error("holds an empty or dot segment; write the path the exporter sees")]
    Segment,
    /// The path has a wildcard that is no `/*` at the end.
    #[error("has a * elsewhere than in /* at its end")]
    Wildcard,
}

/// Checks that a path has one spelling: no dot segments, no empty ones, nothing encoded, no
/// parameters.
///
/// # Errors
///
/// Returns the first rule that the path breaks.
pub fn is_plain(path: &str) -> Result<(), InvalidPath> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:@!$&'()*+,=".contains(&byte);
    if !path.starts_with('/') {
        return Err(InvalidPath::Relative);
    }
    if !path.bytes().all(plain) {
        return Err(InvalidPath::Character);
    }
    if path.contains("//") || path.split('/').any(|segment| segment == "." || segment == "..") {
        return Err(InvalidPath::Segment);
    }
    Ok(())
}

/// The whole segments at the beginning of a path, without a slash at the end; empty: any path.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Prefix(String);

impl Borrow<str> for Prefix {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Prefix {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPath> {
        is_plain(text)?;
        Ok(Self(text.strip_suffix('/').unwrap_or(text).to_owned()))
    }

    /// Returns the path without a slash at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path as users write it.
    pub fn shown(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// Returns whether a path begins with these segments.
    pub fn covers(&self, path: &str) -> bool {
        let rest = path.strip_prefix(self.0.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns the prefix of one more segment.
    pub(super) fn below(&self, segment: &str) -> Self {
        Self(format!("{}/{segment}", self.0))
    }

    pub(super) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// A path, or with `/*` at its end everything below one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

const BELOW: &str = "/*";

/// The path of the profiler of any Go exporter, which tells its command line and its memory, and takes
/// its time. A pattern that does not name it does not mean it.
const PROFILER: &str = "/debug/pprof";

/// Returns whether a path is the profiler's, be it below a prefix (`--web.route-prefix`).
fn is_profiler(path: &str) -> bool {
    let mut ends = path.match_indices(PROFILER).map(|(start, _)| &path[start + PROFILER.len()..]);
    ends.any(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidPath> {
        is_plain(text)?;
        match text.strip_suffix(BELOW).unwrap_or(text) {
            rest if rest.contains('*') => Err(InvalidPath::Wildcard),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// Returns the pattern as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path of a pattern that stands for one.
    pub fn exact(&self) -> Option<&str> {
        (!self.0.ends_with(BELOW)).then_some(&self.0)
    }

    /// Returns the path, or the one that all the others are below.
    pub fn above(&self) -> &str {
        self.0.strip_suffix(BELOW).unwrap_or(&self.0)
    }

    /// Returns whether a path is the one, or below it. The profiler of Go programs matches only
    /// where the pattern names it.
    pub fn matches(&self, path: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(below) => path.starts_with(below) && (is_profiler(below) || !is_profiler(path)),
            None => path == self.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_whole_segments() {
        let prefix = Prefix::parse("/node/").unwrap();
        assert_eq!(prefix.as_str(), "/node");
        for (path, covered) in
            [("/node", true), ("/node/", true), ("/node/metrics", true), ("/nodes", false)]
        {
            assert_eq!(prefix.covers(path), covered, "{path}");
        }
        assert!(Prefix::parse("/").unwrap().covers("/anything"));
    }

    #[test]
    fn a_pattern_is_one_path_or_all_below() {
        let below = Pattern::parse("/api/*").unwrap();
        assert!(below.matches("/api/v1") && below.matches("/api/") && !below.matches("/api"));
        assert!(Pattern::parse("/*").unwrap().matches("/"));
        assert!(!Pattern::parse("/metrics").unwrap().matches("/metrics/"));
        assert!(Pattern::parse("/a*").is_err() && Pattern::parse("/*/a").is_err());
    }

    #[test]
    fn the_profiler_is_meant_by_its_name_alone() {
        let matches = |pattern: &str, path: &str| Pattern::parse(pattern).unwrap().matches(path);
        for pattern in ["/*", "/debug/*"] {
            for path in ["/debug/pprof", "/debug/pprof/heap", "/debug/x/debug/pprof/"] {
                assert!(!matches(pattern, path), "{pattern} {path}");
            }
            assert!(matches(pattern, "/debug/pprofile") && matches(pattern, "/debug/vars"));
        }
        assert!(matches("/debug/pprof/*", "/debug/pprof/heap"));
        assert!(matches("/debug/pprof/heap", "/debug/pprof/heap"));
    }
}
