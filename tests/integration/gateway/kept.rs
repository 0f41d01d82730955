//! What a reload of a file that may be half-written does not take away.

use super::*;

const ROUTE: &str = "  - path: /a\n    upstreams: ['unix:/x']\n";
const RULE: &str = "    access:\n    - users: [scraper]\n      networks: [192.0.2.0/24]\n";

#[test]
fn rules_of_a_route_are_not_lost_by_a_cut() {
    let more = "    methods: [HEAD]\n    paths: [/x]\n    allowed_targets: [x]\n    listeners: ['127.0.0.1:0']\n";
    let whole = with_routes(&format!("{ROUTE}{RULE}{more}"));
    for (cut, word) in [
        (with_routes(ROUTE), "access"),
        (whole.split("    listeners").next().expect("a part").to_owned(), ".listeners"),
        (
            with_routes(&format!("{ROUTE}{RULE}    methods: [HEAD]\n    paths: [/x]\n")),
            "allowed_targets",
        ),
        (with_routes(&format!("{ROUTE}{RULE}    methods: [HEAD]\n")), ".paths"),
        (with_routes(&format!("{ROUTE}{RULE}")), ".methods"),
        (
            with_routes(&format!(
                "{ROUTE}    access:\n    - users: [scraper]\n    allowed_targets: [x]\n"
            )),
            "networks",
        ),
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
    let whole = with_routes(&format!("{ROUTE}    name: b\n{RULE}"));
    for (cut, word) in [
        (with_routes(ROUTE), "access"),
        (with_routes("  - path: /c\n    upstreams: ['unix:/x']\n"), "proxy.routes.c.access"),
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
fn what_is_said_in_so_many_words_counts() {
    let exporter = Exporter::new();
    let route = format!("  - path: /a\n    upstreams: ['{exporter}']\n");
    let guard = gateway(&format!("{route}{RULE}"));
    assert_eq!(status(&guard, "/a/metrics"), 403);
    let said = "    access:\n    - users: [scraper]\n      networks: []\n";
    guard.replace("web.yml", with_routes(&format!("{route}{said}")));
    guard.wait_generation(2);
    assert_eq!(status(&guard, "/a/metrics"), 200);
}
