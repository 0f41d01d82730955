//! What a reload of a file that may be half-written does not take away.

use super::*;

const ROUTE: &str = "
    - path: /a
      upstreams: ['unix:/x']
    ";
const RULE: &str = "
    access:
    - users: [scraper]
      networks: [192.0.2.0/24]
    ";

/// A configuration with one route, which has these further keys.
fn with_route(route: &str, keys: &[&str]) -> String {
    let keys: String = keys.iter().map(|keys| indented(2, keys)).collect();
    with_routes(&(yaml(route) + &keys))
}

#[test]
fn rules_of_a_route_are_not_lost_by_a_cut() {
    const LIMITED: &str = "
        access:
        - users: [scraper]
        allowed_targets: [x]
        ";
    let more = ["methods: [HEAD]", "paths: [/x]", "allowed_targets: [x]"];
    let [methods, paths, targets] = more;
    let listeners = "listeners: ['127.0.0.1:0']";
    let whole = with_route(ROUTE, &[RULE, methods, paths, targets, listeners]);
    for (cut, word) in [
        (with_route(ROUTE, &[]), "access"),
        (with_route(ROUTE, &[RULE, methods, paths, targets]), ".listeners"),
        (with_route(ROUTE, &[RULE, methods, paths]), "allowed_targets"),
        (with_route(ROUTE, &[RULE, methods]), ".paths"),
        (with_route(ROUTE, &[RULE]), ".methods"),
        (with_route(ROUTE, &[LIMITED]), "networks"),
        (scraper(), "proxy.routes"),
    ] {
        let guard = GuardBuilder::new().config(&whole).start();
        assert_eq!(status(&guard, "/a/metrics"), 403);
        guard.replace("web.yml", cut);
        let line = guard.wait_failed_reload(1);
        assert!(guard.stderr().join("\n").contains(word), "{word}: {line}");
        assert_eq!(status(&guard, "/a/metrics"), 403);
    }
}

/// A cut may take the name from a route, or only a part of a line.
#[test]
fn a_route_is_known_by_its_path_and_its_exporter_too() {
    const OTHER_PATH: &str = "
        - path: /c
          upstreams: ['unix:/x']
        ";
    let whole = with_route(ROUTE, &["name: b", RULE]);
    for (cut, word) in [
        (with_route(ROUTE, &[]), "access"),
        (with_route(OTHER_PATH, &[]), "proxy.routes.c.access"),
        (whole.trim_end().to_owned(), "the last line of web.yml has no end"),
    ] {
        let guard = GuardBuilder::new().config(&whole).start();
        guard.replace("web.yml", cut);
        let line = guard.wait_failed_reload(1);
        assert!(line.contains(word), "{word}: {line}");
        assert_eq!(status(&guard, "/a/metrics"), 403);
    }
}

#[test]
fn a_rule_that_is_written_out_and_empty_takes_effect() {
    const NO_NETWORKS: &str = "
        access:
        - users: [scraper]
          networks: []
        ";
    let exporter = Exporter::new();
    let route = format!(
        "
        - path: /a
          upstreams: ['{exporter}']
        "
    );
    let guard = GuardBuilder::new().config(with_route(&route, &[RULE])).start();
    assert_eq!(status(&guard, "/a/metrics"), 403);
    guard.replace("web.yml", with_route(&route, &[NO_NETWORKS]));
    guard.wait_generation(2);
    assert_eq!(status(&guard, "/a/metrics"), 200);
}
