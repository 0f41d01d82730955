use std::path::Path;

use exporter_guard::auth::PublicPaths;
use exporter_guard::config;
use serde_json::json;

/// Checks two lines, a path that is declared public and a path that is requested: a path that the
/// configuration accepts is read alike by all programs, and makes no other path public.
pub fn public_path(input: &[u8]) {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (declared, requested) = input.split_once('\n').unwrap_or((input, input));
    // A JSON text is valid YAML, too.
    let file = json!({ "proxy": { "public_paths": [declared] } }).to_string();
    let reading = config::parse(Path::new("web.yml"), file.into_bytes());
    let Some(config) = reading.config else { return };
    let [route] = config.proxy.routes.as_slice() else { panic!("{:?}", config.proxy.routes) };
    assert_eq!(route.policy.public_paths, [declared]);

    assert!(declared.starts_with('/'), "{declared:?} is no path");
    let is_plain = |c: char| c.is_ascii_graphic() && !"%?#;\\\"<>[]^`{|}".contains(c);
    assert!(declared.chars().all(is_plain), "{declared:?} is read in more than one way");
    for (index, segment) in declared[1..].split('/').enumerate() {
        let is_root = declared == "/" && index == 0;
        let is_end = declared.ends_with('/') && declared[1..].split('/').count() == index + 1;
        assert!(is_root || is_end || !segment.is_empty(), "{declared:?} has an empty segment");
        assert!(!matches!(segment, "." | ".."), "{declared:?} has a dot segment");
    }

    let paths = PublicPaths::new(&route.policy.public_paths);
    assert!(paths.find(declared.as_bytes()).is_some());
    assert_eq!(paths.find(requested.as_bytes()).is_some(), requested == declared, "{requested:?}");
    for other in variants(declared) {
        assert!(paths.find(other.as_bytes()).is_none(), "{declared:?} opens {other:?}");
    }
}

/// Returns paths that some exporter could take for the declared one.
fn variants(path: &str) -> impl Iterator<Item = String> {
    [
        format!("{path}/"),
        format!("/{path}"),
        format!("{path}?"),
        format!("{path}%00"),
        format!("/.{path}"),
        format!("/x/..{path}"),
        format!("http://host{path}"),
        path[1..].to_owned(),
        path.replacen('/', "%2F", 1),
        path.replacen('/', "/%2e/", 1),
    ]
    .into_iter()
}
