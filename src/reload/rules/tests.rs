//! A file that is cut at the end of any of its lines, with its keys in any order, is refused or admits
//! nobody who was not admitted before.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;

use http::Method;

use super::lost;
use crate::auth::{self, Caller, Identity};
use crate::config::routes::Route;
use crate::config::{self, ClientCertificate, Config};
use crate::routing::Routes;
use crate::tls::ClientNames;

/// How many orders of the keys are tried.
const ORDERS: u64 = 60;

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

fn whole() -> Yaml {
    let hash = "$2y$10$qgsB1DjdRk9iNX0sU/XwT.9XeC3/6sWbHWpXBpafR2u5AVU9QqwPO";
    let tls = |auth| {
        Map(vec![
            ("cert", Text("x")),
            ("key", Text("x")),
            ("client_ca", Text("x")),
            ("client_auth_type", Text(auth)),
            ("client_allowed_sans", list(["a.example", "b.example"])),
            ("min_version", Text("TLS13")),
        ])
    };
    let rule = |who, names: [&'static str; 2]| {
        let networks = list(["10.0.0.0/8", "192.0.2.7"]);
        Map(vec![
            (who, list(names)),
            ("client_names", list(["a.example", "b.example"])),
            ("networks", networks),
        ])
    };
    Map(vec![
        ("tls_server_config", tls("VerifyClientCertIfGiven")),
        ("basic_auth_users", Map(vec![("alice", Text(hash)), ("bob", Text(hash))])),
        (
            "proxy",
            Map(vec![
                (
                    "listeners",
                    List(vec![Map(vec![
                        ("listen_address", Text("':1'")),
                        ("tls_server_config", tls("RequireAndVerifyClientCert")),
                    ])]),
                ),
                (
                    "tokens",
                    Map(vec![(
                        "ci",
                        Text(
                            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                        ),
                    )]),
                ),
                (
                    "routes",
                    List(vec![
                        Map(vec![
                            ("name", Text("first")),
                            ("path", Text("/one")),
                            ("upstreams", list(["http://127.0.0.1:1"])),
                            (
                                "access",
                                List(vec![
                                    rule("users", ["alice", "bob"]),
                                    Map(vec![
                                        ("tokens", list(["ci"])),
                                        ("networks", list(["10.0.0.0/8"])),
                                    ]),
                                ]),
                            ),
                            ("methods", list(["HEAD"])),
                            ("paths", list(["/a", "/b"])),
                            ("allowed_targets", list(["x", "y"])),
                            ("listeners", list(["':1'", "':2'"])),
                        ]),
                        Map(vec![
                            ("path", Text("/two")),
                            ("name", Text("second")),
                            ("upstreams", list(["http://127.0.0.1:2", "http://127.0.0.1:3"])),
                            ("access", List(vec![rule("users", ["bob", "alice"])])),
                        ]),
                    ]),
                ),
            ]),
        ),
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

fn in_order(seed: u64) -> String {
    let mut state = seed.wrapping_mul(2) | 1;
    let mut shuffle = |count: usize| {
        // Knuth's MMIX generator.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((state >> 33) % count as u64).expect("a small number")
    };
    let mut text = String::new();
    render(&whole(), 0, &mut shuffle, &mut text);
    text
}

fn parse(text: &str) -> Option<Config> {
    config::parse(Path::new("/nonexistent/web.yml"), text.as_bytes().to_vec()).config
}

/// Everybody there is, by what they can show.
fn everybody(names: &[Option<ClientNames>]) -> Vec<(Caller<'_>, Option<&str>)> {
    let identities = [
        (Identity::Nobody, None),
        (Identity::User(b"alice".to_vec()), Some("alice")),
        (Identity::User(b"bob".to_vec()), Some("bob")),
        (Identity::Token("ci".to_owned()), None),
    ];
    let addresses: [Option<SocketAddr>; 4] =
        ["10.1.1.1:1", "192.0.2.7:1", "198.51.100.1:1", ""].map(|text| text.parse().ok());
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

/// Which questions an exporter can be asked, and by whom, through which listener.
fn reached(config: &Config) -> Vec<String> {
    let names = [None, Some("a.example".into()), Some("other.example".into())];
    let callers = everybody(&names);
    let mut reached = Vec::new();
    for listener in [":1", ":2", ":3"] {
        for (number, (caller, user)) in callers.iter().enumerate() {
            let shown = if number % names.len() == 0 {
                ClientCertificate::Optional
            } else {
                ClientCertificate::Verified
            };
            let is_user = user.is_none_or(|name| config.users.iter().any(|user| user.name == name));
            if !is_user || shown < config.client_certificate(listener) {
                continue;
            }
            for route in config.proxy.routes() {
                for question in questions(route, listener, caller) {
                    reached.push(format!("{listener} {number} {question}"));
                }
            }
        }
    }
    reached
}

fn questions(config: &Route, listener: &str, caller: &Caller<'_>) -> Vec<String> {
    let routes = Routes::new(std::slice::from_ref(config), &HashMap::new(), None);
    let Some(route) = routes.on(listener).next() else { return Vec::new() };
    let mut asked = Vec::new();
    for path in ["/metrics", "/a", "/b", "/c"] {
        for (method, query) in
            [(Method::GET, "target=x"), (Method::HEAD, "target=x"), (Method::HEAD, "target=z")]
        {
            let outside = config.outside(path);
            let Ok(permit) = route.policy.admit(caller) else { continue };
            let checked: Result<auth::Permit, _> =
                route.check(permit, &method, &outside, Some(query));
            if checked.is_ok() {
                asked.push(format!("{} {method} {path}?{query}", config.upstreams[0]));
            }
        }
    }
    asked
}

/// What the handshakes demand, such that more is greater.
fn demanded(config: &Config, listener: &str) -> [usize; 3] {
    let Some(tls) = config.tls.of(listener) else { return [0; 3] };
    // Where no certificate counts, none is checked.
    let verifies = tls.client_auth.verifies();
    let sans = usize::from(!tls.allowed_sans.is_empty() || !verifies);
    let ca = usize::from(tls.client_ca.is_some() || !verifies);
    [1 + tls.client_auth.certificate() as usize, sans, ca]
}

#[test]
fn no_cut_opens_anything() {
    let (mut cuts, mut accepted) = (0, 0);
    for seed in 0..ORDERS {
        let text = in_order(seed);
        let old = parse(&text).unwrap_or_else(|| panic!("order {seed} is not valid\n{text}"));
        let before = reached(&old);
        assert!(!before.is_empty());
        for (end, _) in text.match_indices('\n') {
            let cut = &text[..=end];
            cuts += 1;
            let Some(new) = parse(cut) else { continue };
            if !lost(&old, &new).is_empty() {
                continue;
            }
            accepted += 1;
            for question in reached(&new) {
                assert!(before.contains(&question), "order {seed}: {question} by\n{cut}");
            }
            for listener in [":1", ":2"] {
                let (was, is) = (demanded(&old, listener), demanded(&new, listener));
                let less = was.iter().zip(&is).any(|(was, is)| is < was);
                assert!(!less, "order {seed}, {listener}: {was:?} -> {is:?} by\n{cut}");
            }
            assert!(!new.users.is_empty(), "order {seed}\n{cut}");
        }
    }
    assert!(cuts > 3000 && accepted > ORDERS, "{accepted} of {cuts}");
}

#[test]
fn half_a_line_is_no_line() {
    let old = parse("basic_auth_users: {}\n").expect("a file");
    let new = parse("basic_auth_users: {}").expect("a file");
    assert!(lost(&old, &new).iter().any(|why| why.contains("no end")));
    assert!(lost(&new, &new).is_empty());
}
