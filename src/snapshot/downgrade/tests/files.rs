//! The files that are cut, with their keys in many orders.

/// The content of a file whose keys are put into several orders.
pub enum Yaml {
    Text(&'static str),
    List(Vec<Yaml>),
    Map(Vec<(&'static str, Yaml)>),
}

use Yaml::{List, Map, Text};

fn list<const N: usize>(items: [&'static str; N]) -> Yaml {
    List(items.into_iter().map(Text).collect())
}

fn tls(client_auth_type: &'static str) -> Yaml {
    Map(vec![
        ("cert", Text("x")),
        ("key", Text("x")),
        ("client_ca", Text("x")),
        ("client_auth_type", Text(client_auth_type)),
        ("client_allowed_sans", list(["a.example", "b.example"])),
        ("min_version", Text("TLS13")),
        ("cipher_suites", list(["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"])),
    ])
}

fn users() -> Yaml {
    let hash = "$2y$10$qgsB1DjdRk9iNX0sU/XwT.9XeC3/6sWbHWpXBpafR2u5AVU9QqwPO";
    Map(vec![("alice", Text(hash)), ("bob", Text(hash))])
}

fn listener(tls: Yaml) -> Yaml {
    List(vec![Map(vec![("listen_address", Text("':1'")), ("tls_server_config", tls)])])
}

fn rule(credentials: &'static str, names: [&'static str; 2]) -> Yaml {
    Map(vec![
        (credentials, list(names)),
        ("client_names", list(["a.example", "b.example"])),
        ("networks", list(["10.0.0.0/8", "192.0.2.7"])),
    ])
}

fn one_user(name: &'static str) -> Yaml {
    List(vec![Map(vec![("users", list([name]))])])
}

/// Routes with rules of all kinds, and a listener that requires more than the others.
pub fn routes_with_rules() -> Yaml {
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

/// Every setting of a route, directly under `proxy`.
pub fn default_route() -> Yaml {
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

/// Routes to one exporter: with nested prefixes, by host, by listener, and without `strip_path`.
pub fn nested_routes() -> Yaml {
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

/// One exporter, and a listener that requires less than the others.
pub fn single_exporter() -> Yaml {
    Map(vec![
        ("tls_server_config", tls("RequireAndVerifyClientCert")),
        ("basic_auth_users", users()),
        ("proxy", Map(vec![("listeners", listener(Text("{}"))), ("public_paths", list(["/a"]))])),
    ])
}

/// Limits that are stricter than the defaults, and a load balancer.
pub fn strict_limits() -> Yaml {
    let limits = Map(vec![
        ("max_connections", Text("100")),
        ("max_auth_failures", Text("5")),
        ("max_in_flight", Text("4")),
        ("header_timeout", Text("1s")),
        // Looser than the default.
        ("idle_timeout", Text("1h")),
    ]);
    let balancer = |listener| {
        Map(vec![("listen_address", Text(listener)), ("sources", list(["10.0.0.0/8", "unix"]))])
    };
    let proxy = Map(vec![
        ("limits", limits),
        ("proxy_protocol", List(vec![balancer("':1'"), balancer("':2'")])),
    ]);
    Map(vec![
        ("basic_auth_users", users()),
        ("rate_limit", Map(vec![("interval", Text("1s")), ("burst", Text("20"))])),
        ("proxy", proxy),
    ])
}

/// Renders in block style, so that the file can be cut within every mapping and list.
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

pub fn in_order(yaml: &Yaml, seed: u64) -> String {
    let mut state = seed;
    let mut shuffle = |count: usize| {
        // SplitMix64 by Vigna.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % count as u64).expect("a small number")
    };
    let mut text = String::new();
    render(yaml, 0, &mut shuffle, &mut text);
    text
}
