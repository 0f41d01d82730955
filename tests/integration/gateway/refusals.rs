//! What a configuration with routes may not say, each with its line and the remedy.

use super::*;

#[test]
fn bad_routes_are_named_with_their_lines() {
    let route = |more: &str| format!("- {{path: /a, upstreams: ['http://127.0.0.1:1']{more}}}\n");
    let second = |more: &str| format!("{}- {{upstreams: ['unix:/x'], {more}}}\n", route(""));
    for (routes, line, message) in [
        ("- {path: /a}\n".to_owned(), 5, "upstreams: missing"),
        ("- {path: /a, upstreams: [itself]}\n".to_owned(), 5, "unix:/path or self"),
        ("- {path: /a, upstreams: [self, 'http://a:1']}\n".to_owned(), 5, "self has no replicas"),
        ("- {upstreams: ['unix:/x']}\n".to_owned(), 5, "give the route a name"),
        ("- x\n".to_owned(), 5, "expected a mapping"),
        ("    x\n".to_owned(), 5, "expected a list of routes"),
        (route(", name: a b"), 5, "letters, digits"),
        (route(", colour: red"), 5, "unknown key"),
        (route(", methods: [TRACE]"), 5, "expected GET, HEAD"),
        (route(", paths: [/a/../b]"), 5, "dot segment"),
        (route(", paths: ['/a%2f']"), 5, "not plain"),
        (route(", paths: ['/a*b']"), 5, "elsewhere"),
        (route(", strip_path: false, paths: [/b]"), 5, "not below the route's path"),
        (route(", hosts: ['a:1']"), 5, "without a port"),
        (route(", hosts: ['*.example']"), 5, "no patterns here"),
        (route(", public_paths: ['/x/*']"), 5, "is a pattern"),
        (route(", access: [{networks: [10.0.0.1/8]}]"), 5, "nothing after its mask"),
        ("- {path: /a, upstreams: []}\n".to_owned(), 5, "name the exporter's address"),
        ("- {path: /a, upstreams: ['http://a:0']}\n".to_owned(), 5, "expected http://HOST:PORT"),
        (route(", labels: {__x: y}"), 5, "label name"),
        (route(", access: []"), 5, "nobody may use"),
        (route(", access: [{}]"), 5, "admits everybody"),
        (route(", access: [{any_client: true}]"), 5, "demands a certificate"),
        (route(", access: [{users: [bob]}]"), 5, "no such user"),
        (route(", access: [{tokens: [bob]}]"), 5, "no such token"),
        (route(", access: [{client_names: [bob]}]"), 5, "not verified"),
        (route(", access: [{networks: [bob]}]"), 5, "an address, a network"),
        (route(", access: [{any_user: true, users: [scraper]}]"), 5, "one Authorization header"),
        (second("name: a"), 6, "another route has this name"),
        (second("name: b, path: /a/"), 6, "only one can be reached"),
        (second("path: /a/metrics"), 6, "never reached"),
        (
            format!("{}{}", route(", paths: ['/b/*']"), "- {path: /a/b, upstreams: ['unix:/x']}\n"),
            6,
            "/a/b of route a is never reached",
        ),
        (second("name: b, path: /-, paths: [/targets]"), 6, "the guard's own"),
    ] {
        let (code, said) = check(&with_routes(&routes));
        assert_eq!(code, 1, "{routes}{said}");
        let expected = said.lines().any(|said| {
            said.starts_with(&format!("web.yml:{line}: error: ")) && said.contains(message)
        });
        assert!(expected, "{message:?} in line {line} of\n{said}for\n{routes}");
    }
}

#[test]
fn keys_that_have_no_effect_with_routes_are_refused() {
    let routes = "routes: [{path: /a, upstreams: ['unix:/x']}]";
    for (config, message) in [
        (proxy(routes), "say who may use the route"),
        (proxy("tokens: {a: b}"), "sha256:"),
        (proxy("tokens_file: absent.yml"), "no rule of proxy.access asks for tokens"),
        (
            proxy(&format!("tokens: {{a: 'sha256:{0}', b: 'sha256:{0}'}}", "0".repeat(64))),
            "are the same token",
        ),
        (proxy("tokens_file: absent.yml"), "cannot read absent.yml"),
    ] {
        let (code, said) = check(&config);
        assert_eq!(code, 1, "{said}");
        assert!(said.contains(message), "{message:?} in\n{said}");
    }
}

/// A wrong value may be the token itself.
#[test]
fn tokens_are_not_shown_in_findings() {
    let (code, said) = check(&proxy("tokens: {a: correct-horse-battery}"));
    assert_eq!(code, 1);
    assert!(!said.contains("correct-horse"), "{said}");
}
