//! A file that is cut at the end of any of its lines, with its keys in any order, is refused or admits
//! nobody who was not admitted before.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;

use http::Method;

use super::find;
use crate::auth::{Caller, Identity};
use crate::config::{ClientCertificate, Config, Upstream};
use crate::routing::{RequestTarget, Route, RouteContext, Routes};
use crate::tls::ClientNames;
use crate::{auth, config};

/// How many orders of the keys of each file are tried.
const ORDERS: u64 = 40;

/// What a file holds, with the keys of each mapping in any order.
enum Yaml {
    Text(&'static str),
    List(Vec<Yaml>),
    Map(Vec<(&'static str, Yaml)>),
}

use Yaml::{List, Map, Text};

fn list<const N: usize>(items: [&'static str; N]) -> Yaml {
    List(items.into_iter().map(Text).collect())
}

fn tls(auth: &'static str) -> Yaml {
    Map(vec![
        ("cert", Text("x")),
        ("key", Text("x")),
        ("client_ca", Text("x")),
        ("client_auth_type", Text(auth)),
        ("client_allowed_sans", list(["a.example", "b.example"])),
        ("min_version", Text("TLS13")),
    ])
}

fn users() -> Yaml {
    let hash = "$2y$10$qgsB1DjdRk9iNX0sU/XwT.9XeC3/6sWbHWpXBpafR2u5AVU9QqwPO";
    Map(vec![("alice", Text(hash)), ("bob", Text(hash))])
}

fn listener(tls: Yaml) -> Yaml {
    List(vec![Map(vec![("listen_address", Text("':1'")), ("tls_server_config", tls)])])
}

fn rule(who: &'static str, names: [&'static str; 2]) -> Yaml {
    Map(vec![
        (who, list(names)),
        ("client_names", list(["a.example", "b.example"])),
        ("networks", list(["10.0.0.0/8", "192.0.2.7"])),
    ])
}

fn one_user(name: &'static str) -> Yaml {
    List(vec![Map(vec![("users", list([name]))])])
}

/// Rules of all kinds, and a listener that demands more than the others.
fn rich() -> Yaml {
    let token = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let second_rule = Map(vec![("tokens", list(["ci"])), ("networks", list(["10.0.0.0/8"]))]);
    let first = Map(vec![
        ("name", Text("first")),
        ("path", Text("/one")),
        ("upstreams", list(["http://127.0.0.1:1"])),
        ("access", List(vec![rule("users", ["alice", "bob"]), second_rule])),
        ("methods", list(["HEAD"])),
        ("paths", list(["/a", "/b"])),
        ("allowed_targets", list(["x", "y"])),
        ("listeners", list(["':1'", "':2'"])),
    ]);
    let second = Map(vec![
        ("path", Text("/two")),
        ("name", Text("second")),
        ("upstreams", list(["http://127.0.0.1:2", "http://127.0.0.1:3"])),
        ("access", List(vec![rule("users", ["bob", "alice"])])),
    ]);
    Map(vec![
        ("tls_server_config", tls("VerifyClientCertIfGiven")),
        ("basic_auth_users", users()),
        (
            "proxy",
            Map(vec![
                ("listeners", listener(tls("RequireAndVerifyClientCert"))),
                ("tokens", Map(vec![("ci", Text(token))])),
                ("routes", List(vec![first, second])),
            ]),
        ),
    ])
}

/// Everything that a route can say, directly under `proxy`.
fn default_route() -> Yaml {
    let token = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let second_rule = Map(vec![("tokens", list(["ci"])), ("networks", list(["10.0.0.0/8"]))]);
    Map(vec![
        ("tls_server_config", tls("VerifyClientCertIfGiven")),
        ("basic_auth_users", users()),
        (
            "proxy",
            Map(vec![
                ("tokens", Map(vec![("ci", Text(token))])),
                ("access", List(vec![rule("users", ["alice", "bob"]), second_rule])),
                ("methods", list(["HEAD"])),
                ("paths", list(["/a", "/b"])),
                ("public_paths", list(["/healthy"])),
                ("allowed_targets", list(["x", "y"])),
                ("labels", Map(vec![("team", Text("infra"))])),
                ("coalesce", Text("true")),
            ]),
        ),
    ])
}

/// Routes to one exporter, one above the other, by host, by listener, with the path kept.
fn nested() -> Yaml {
    let exporter = || list(["http://127.0.0.1:1"]);
    let all = Map(vec![
        ("name", Text("all")),
        ("path", Text("/")),
        ("upstreams", exporter()),
        ("paths", list(["/*"])),
    ]);
    let admin = Map(vec![
        ("name", Text("admin")),
        ("path", Text("/admin")),
        ("strip_path", Text("false")),
        ("upstreams", exporter()),
        ("paths", list(["/admin/*"])),
        ("access", one_user("alice")),
        ("public_paths", list(["/admin/healthy"])),
    ]);
    let of_host = Map(vec![
        ("name", Text("of-host")),
        ("path", Text("/x")),
        ("hosts", list(["h.example"])),
        ("upstreams", exporter()),
        ("paths", list(["/a"])),
        ("access", List(vec![rule("users", ["alice", "bob"])])),
    ]);
    let same_path = |name, listener: &'static str, user| {
        Map(vec![
            ("path", Text("/same")),
            ("listeners", list([listener])),
            ("upstreams", exporter()),
            ("paths", list(["/a"])),
            ("access", one_user(user)),
            ("name", Text(name)),
        ])
    };
    let routes =
        vec![all, admin, of_host, same_path("s1", "':1'", "alice"), same_path("s2", "':2'", "bob")];
    Map(vec![
        ("tls_server_config", tls("VerifyClientCertIfGiven")),
        ("basic_auth_users", users()),
        ("proxy", Map(vec![("routes", List(routes))])),
    ])
}

/// One exporter, and a listener that demands less than the others.
fn single() -> Yaml {
    Map(vec![
        ("tls_server_config", tls("RequireAndVerifyClientCert")),
        ("basic_auth_users", users()),
        ("proxy", Map(vec![("listeners", listener(Text("{}"))), ("public_paths", list(["/a"]))])),
    ])
}

/// Block style, so that each line is a place to be cut at.
fn render(yaml: &Yaml, indent: usize, shuffle: &mut impl FnMut(usize) -> usize, out: &mut String) {
    let pad = " ".repeat(indent);
    match yaml {
        Text(text) => out.push_str(&format!("{pad}{text}\n")),
        List(items) => {
            for item in items {
                let mut inner = String::new();
                render(item, indent + 2, shuffle, &mut inner);
                out.push_str(&format!("{pad}- {}", &inner[indent + 2..]));
            }
        }
        Map(entries) => {
            let mut left: Vec<&(&str, Yaml)> = entries.iter().collect();
            while !left.is_empty() {
                let (key, value) = left.remove(shuffle(left.len()));
                match value {
                    Text(text) => out.push_str(&format!("{pad}{key}: {text}\n")),
                    _ => {
                        out.push_str(&format!("{pad}{key}:\n"));
                        render(value, indent + 2, shuffle, out);
                    }
                }
            }
        }
    }
}

fn in_order(yaml: &Yaml, seed: u64) -> String {
    let mut state = seed;
    let mut shuffle = |count: usize| {
        // Vigna's SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).expect("a small number")
    };
    let mut text = String::new();
    render(yaml, 0, &mut shuffle, &mut text);
    text
}

fn parse(text: &str) -> Option<Config> {
    config::parse(Path::new("/nonexistent/web.yml"), text.as_bytes().to_vec()).config
}

/// Everybody there is, by what they can show, with a word for each.
fn everybody(names: &[Option<ClientNames>]) -> Vec<(Caller<'_>, Option<&str>)> {
    let identities = [
        (Identity::Nobody, None),
        (Identity::User(b"alice".to_vec()), Some("alice")),
        (Identity::User(b"bob".to_vec()), Some("bob")),
        (Identity::Token("ci".to_owned()), None),
    ];
    let addresses: [Option<SocketAddr>; 3] =
        ["10.1.1.1:1", "192.0.2.7:1", ""].map(|text| text.parse().ok());
    let mut callers = Vec::new();
    for (identity, user) in identities {
        for address in addresses {
            for names in names {
                callers.push((Caller::of(identity.clone(), address, names.as_ref()), user));
            }
        }
    }
    callers
}

/// What an exporter can be asked, by whom, through which listener.
fn reached(config: &Config) -> HashSet<String> {
    let names = [None, Some("a.example".into()), Some("other.example".into())];
    let context = RouteContext {
        upstream: &Upstream::Own,
        has_users: !config.users.is_empty(),
        upstream_materials: &HashMap::new(),
        previous: None,
    };
    let routes = Routes::new(&config.proxy.routes, &context);
    let mut reached = HashSet::new();
    for listener in [":1", ":2", ":3"] {
        for (number, (caller, user)) in everybody(&names).iter().enumerate() {
            let shown = if number % names.len() == 0 {
                ClientCertificate::Optional
            } else {
                ClientCertificate::Verified
            };
            let is_user = user.is_none_or(|name| config.users.iter().any(|user| user.name == name));
            let tls = config.tls.of(listener).as_ref();
            let required =
                tls.map_or(ClientCertificate::Optional, |tls| tls.client_auth.required_level());
            let is_admitted = is_user && shown >= required;
            let who = format!("{listener} {number}");
            let questions = questions(&routes, listener, caller, is_admitted);
            reached.extend(questions.iter().map(|question| format!("{who} {question}")));
        }
    }
    reached
}

fn questions(
    routes: &Routes,
    listener: &str,
    caller: &Caller<'_>,
    is_admitted: bool,
) -> Vec<String> {
    let mut asked = Vec::new();
    for host in ["h.example", "other"] {
        for prefix in ["", "/one", "/two", "/admin", "/x", "/same"] {
            for path in ["/metrics", "/a", "/b", "/healthy"] {
                let path = format!("{prefix}{path}");
                let Some(route) = routes.find(listener, host, None, &path) else { continue };
                let ways = ways(route, caller, &path, is_admitted);
                let exporter = route.replicas.first();
                let inside = route.inside(&path);
                asked.extend(ways.iter().map(|way| format!("{exporter} {inside} {way}")));
            }
        }
    }
    asked
}

fn ways(route: &Route, caller: &Caller<'_>, path: &str, is_admitted: bool) -> Vec<String> {
    let ways = [(Method::GET, "target=x"), (Method::HEAD, "target=x"), (Method::HEAD, "target=z")];
    let passes = |(method, query): &(Method, &str)| {
        // Without a query on the default route: with one, none of its paths is public.
        let query = route.listed_name().map(|_| *query);
        let target = RequestTarget { method, path, query, raw: path.as_bytes() };
        let permit = match route.public(&target) {
            Some(declared) => Some(auth::public(declared)),
            None if is_admitted => route.policy.authorize(caller).ok(),
            None => None,
        };
        permit.is_some_and(|permit| route.check(permit, &target).is_ok())
    };
    ways.iter()
        .filter(|way| passes(way))
        .map(|(method, query)| format!("{method} {query}"))
        .collect()
}

/// What the handshakes demand, such that more is greater.
fn demanded(config: &Config, listener: &str) -> [usize; 3] {
    let Some(tls) = config.tls.of(listener) else { return [0; 3] };
    // Where no certificate counts, none is checked.
    let verifies = tls.client_auth.verifies();
    let sans = usize::from(!tls.allowed_sans.is_empty() || !verifies);
    let ca = usize::from(tls.client_ca.is_some() || !verifies);
    [1 + tls.client_auth.required_level() as usize, sans, ca]
}

/// Cut a file after each of its lines, in many orders.
fn no_cut_opens_anything_of(whole: &Yaml) {
    let mut accepted = 0;
    for seed in 0..ORDERS {
        let text = in_order(whole, seed);
        let old = parse(&text).unwrap_or_else(|| panic!("order {seed} is not valid\n{text}"));
        let before = reached(&old);
        assert!(!before.is_empty());
        for (end, _) in text.match_indices('\n') {
            let cut = &text[..=end];
            let Some(new) = parse(cut) else { continue };
            if !find(&old, &new).is_empty() {
                continue;
            }
            accepted += 1;
            let opened: Vec<_> = reached(&new).difference(&before).cloned().collect();
            assert!(opened.is_empty(), "order {seed}: {opened:#?} by\n{cut}of\n{text}");
            for listener in [":1", ":2"] {
                let (was, is) = (demanded(&old, listener), demanded(&new, listener));
                let less = was.iter().zip(&is).any(|(was, is)| is < was);
                assert!(!less, "order {seed}, {listener}: {was:?} -> {is:?} by\n{cut}");
            }
        }
    }
    assert!(accepted >= ORDERS, "{accepted}");
}

#[test]
fn no_cut_of_rich_rules_opens_anything() {
    no_cut_opens_anything_of(&rich());
}

#[test]
fn no_cut_of_nested_routes_opens_anything() {
    no_cut_opens_anything_of(&nested());
}

#[test]
fn no_cut_of_rules_of_the_default_route_opens_anything() {
    no_cut_opens_anything_of(&default_route());
}

#[test]
fn no_cut_in_front_of_one_exporter_opens_anything() {
    no_cut_opens_anything_of(&single());
}

#[test]
fn half_a_line_is_no_line() {
    let old = parse("basic_auth_users: {}\n").expect("a file");
    let new = parse("basic_auth_users: {}").expect("a file");
    assert!(find(&old, &new).iter().any(|why| why.contains("no end")));
    assert!(find(&new, &new).is_empty());
}

/// What everybody does needs no word.
#[test]
fn everyday_changes_are_taken() {
    let file = |routes: &str| {
        let hash = "$2y$10$qgsB1DjdRk9iNX0sU/XwT.9XeC3/6sWbHWpXBpafR2u5AVU9QqwPO";
        let text = format!(
            "basic_auth_users: {{alice: {hash}, bob: {hash}}}\nproxy:\n  routes:\n{routes}"
        );
        parse(&text).unwrap_or_else(|| panic!("{text}"))
    };
    let a = "  - {name: a, path: /a, upstreams: ['http://a:1']";
    let b = "  - {name: b, path: /b, upstreams: ['http://b:1']";
    let strict = ", access: [{users: [alice], networks: [10.0.0.0/8]}]}\n";
    for (what, old, new) in [
        ("one more route", format!("{a}{strict}"), format!("{a}{strict}{b}}}\n")),
        ("one route less", format!("{a}{strict}{b}{strict}"), format!("{a}{strict}")),
        ("another order", format!("{a}{strict}{b}}}\n"), format!("{b}}}\n{a}{strict}")),
        (
            "a rule before another",
            format!("{a}{strict}"),
            format!(
                "{a}, access: [{{users: [bob]}}, {{users: [alice], networks: [10.0.0.0/8]}}]}}\n"
            ),
        ),
        (
            "a rule after another",
            format!("{a}{strict}"),
            format!(
                "{a}, access: [{{users: [alice], networks: [10.0.0.0/8]}}, {{users: [bob]}}]}}\n"
            ),
        ),
        (
            "a rule less",
            format!(
                "{a}, access: [{{users: [alice], networks: [10.0.0.0/8]}}, {{users: [bob]}}]}}\n"
            ),
            format!("{a}, access: [{{users: [bob]}}]}}\n"),
        ),
        (
            "another name, all else said",
            format!("{a}{strict}"),
            format!("{a}{strict}").replace("name: a", "name: c"),
        ),
        ("the default, left out", format!("{a}, methods: [GET, HEAD]}}\n"), format!("{a}}}\n")),
        (
            "one more user",
            format!("{a}, access: [{{users: [alice]}}]}}\n"),
            format!("{a}, access: [{{users: [alice, bob]}}]}}\n"),
        ),
        (
            "paths swapped",
            format!("{a}{strict}{b}}}\n"),
            format!("{a}{strict}{b}}}\n")
                .replace("/a", "/x")
                .replace("/b", "/a")
                .replace("/x", "/b"),
        ),
    ] {
        let why = find(&file(&old), &file(&new));
        assert!(why.is_empty(), "{what}: {why:?}");
    }
}
