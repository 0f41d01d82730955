//! Cuts files at the end of each of their lines, with their keys in many orders: a cut file is
//! refused, or admits no request that the whole file does not admit.

mod files;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;

use http::Method;

use super::{find, incomplete_texts};
use crate::auth::{Caller, Identity};
use crate::config::{ClientCertificate, Config, Upstream};
use crate::routing::{RequestTarget, Route, RouteContext, Routes};
use crate::tls::ClientNames;
use crate::{auth, config};
use files::{
    Yaml, default_route, in_order, nested_routes, routes_with_rules, single_exporter, strict_limits,
};

/// The number of orders of the keys that are tried for each file.
const ORDERS: u64 = 40;

fn parse(text: &str) -> Option<Config> {
    config::parse(Path::new("/nonexistent/web.yml"), text.as_bytes().to_vec()).config
}

/// Returns one caller for each combination of identity, address and certificate, with the name of
/// its user.
fn all_callers(names: &[Option<ClientNames>]) -> Vec<(Caller<'_>, Option<&str>)> {
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

/// Describes the requests that the configuration admits: listener, caller, exporter, path and
/// method.
fn admitted(config: &Config) -> HashSet<String> {
    let names = [None, Some("a.example".into()), Some("other.example".into())];
    let context = RouteContext {
        upstream: &Upstream::Own,
        has_users: !config.users.is_empty(),
        upstream_materials: &HashMap::new(),
        previous: None,
    };
    let routes = Routes::new(&config.proxy.routes, &context);
    let mut admitted = HashSet::new();
    for listener in [":1", ":2", ":3"] {
        for (number, (caller, user)) in all_callers(&names).iter().enumerate() {
            let presented = if number % names.len() == 0 {
                ClientCertificate::Optional
            } else {
                ClientCertificate::Verified
            };
            let is_user = user.is_none_or(|name| config.users.iter().any(|user| user.name == name));
            let tls = config.tls.of(listener).as_ref();
            let required =
                tls.map_or(ClientCertificate::Optional, |tls| tls.client_auth.required_level());
            let is_admitted = is_user && presented >= required;
            let requests = admitted_requests(&routes, listener, caller, is_admitted);
            let requests = requests.iter().map(|request| format!("{listener} {number} {request}"));
            admitted.extend(requests);
        }
    }
    admitted
}

fn admitted_requests(
    routes: &Routes,
    listener: &str,
    caller: &Caller<'_>,
    is_admitted: bool,
) -> Vec<String> {
    let mut requests = Vec::new();
    for host in ["h.example", "other"] {
        for prefix in ["", "/one", "/two", "/admin", "/x", "/same"] {
            for path in ["/metrics", "/a", "/b", "/healthy"] {
                let path = format!("{prefix}{path}");
                let Some(route) = routes.find(listener, host, None, &path) else { continue };
                let methods = admitted_methods(route, caller, &path, is_admitted);
                let exporter = route.replicas.first();
                let inside = route.inside(&path);
                let described = |method| format!("{exporter} {inside} {method}");
                requests.extend(methods.into_iter().map(described));
            }
        }
    }
    requests
}

/// Returns the methods and queries that a route admits for a path.
fn admitted_methods(
    route: &Route,
    caller: &Caller<'_>,
    path: &str,
    is_admitted: bool,
) -> Vec<String> {
    let all = [(Method::GET, "target=x"), (Method::HEAD, "target=x"), (Method::HEAD, "target=z")];
    let is_forwarded = |(method, query): &(Method, &str)| {
        // No query on the default route, where a path with a query is never public.
        let query = route.listed_name().map(|_| *query);
        let target = RequestTarget { method, path, query, raw: path.as_bytes(), has_body: false };
        let permit = match route.public(&target) {
            Some(declared) => Some(auth::public(declared)),
            None if is_admitted => route.policy.authorize(caller).ok(),
            None => None,
        };
        permit.is_some_and(|permit| route.check(permit, &target).is_ok())
    };
    all.iter()
        .filter(|request| is_forwarded(request))
        .map(|(method, query)| format!("{method} {query}"))
        .collect()
}

/// Returns the requirements of handshakes as numbers, of which the greater is the stricter.
fn requirements(config: &Config, listener: &str) -> [usize; 5] {
    let Some(tls) = config.tls.of(listener) else { return [0; 5] };
    // Names and CAs matter only where certificates are verified.
    let verifies = tls.client_auth.verifies();
    let sans = usize::from(!tls.allowed_sans.is_empty() || !verifies);
    let ca = usize::from(tls.client_ca.is_some() || !verifies);
    let suites = usize::from(!tls.cipher_suites.is_empty());
    [1 + tls.client_auth.required_level() as usize, sans, ca, tls.min_version as usize, suites]
}

/// Returns the limits as numbers, of which the greater is the stricter.
fn limits(config: &Config) -> [usize; 7] {
    let limits = &config.proxy.limits;
    let milliseconds = |time: std::time::Duration| usize::try_from(time.as_millis()).unwrap();
    let is_behind_balancer = |listener| {
        let from = "10.1.1.1:1".parse().ok();
        usize::from(config.proxy.expects_proxy_protocol(listener, from))
    };
    [
        usize::from(config.rate_limit.is_some()),
        usize::MAX - limits.max_connections,
        usize::MAX - usize::try_from(limits.max_auth_failures).unwrap(),
        usize::MAX - limits.max_in_flight,
        usize::MAX - milliseconds(limits.header_timeout),
        is_behind_balancer(":1"),
        is_behind_balancer(":2"),
    ]
}

/// Cuts a file after each of its lines, in many orders of its keys.
fn assert_no_cut_weakens(whole: &Yaml) {
    let mut accepted = 0;
    for seed in 0..ORDERS {
        let text = in_order(whole, seed);
        let old = parse(&text).unwrap_or_else(|| panic!("order {seed} is not valid\n{text}"));
        let admitted_before = admitted(&old);
        assert!(!admitted_before.is_empty());
        for (end, _) in text.match_indices('\n') {
            let cut = &text[..=end];
            let Some(new) = parse(cut) else { continue };
            for listener in [":1", ":2"] {
                let is_open = new.tls.of(listener).is_none() && new.is_open(listener);
                assert!(!is_open, "order {seed}, {listener}: a start is open with\n{cut}");
            }
            if !find(&old, &new).is_empty() || incomplete_texts(&old, &new).count() > 0 {
                continue;
            }
            accepted += 1;
            let gained: Vec<_> = admitted(&new).difference(&admitted_before).cloned().collect();
            assert!(gained.is_empty(), "order {seed}: {gained:#?} by\n{cut}of\n{text}");
            for listener in [":1", ":2"] {
                let (was, is) = (requirements(&old, listener), requirements(&new, listener));
                let is_weaker = was.iter().zip(&is).any(|(was, is)| is < was);
                assert!(!is_weaker, "order {seed}, {listener}: {was:?} -> {is:?} by\n{cut}");
            }
            let (was, is) = (limits(&old), limits(&new));
            let is_looser = was.iter().zip(&is).any(|(was, is)| is < was);
            assert!(!is_looser, "order {seed}: {was:?} -> {is:?} by\n{cut}");
        }
    }
    assert!(accepted >= ORDERS, "{accepted}");
}

#[test]
fn no_cut_weakens_routes_with_rules() {
    assert_no_cut_weakens(&routes_with_rules());
}

#[test]
fn no_cut_weakens_nested_routes() {
    assert_no_cut_weakens(&nested_routes());
}

#[test]
fn no_cut_weakens_the_default_route() {
    assert_no_cut_weakens(&default_route());
}

#[test]
fn no_cut_weakens_a_single_exporter() {
    assert_no_cut_weakens(&single_exporter());
}

#[test]
fn no_cut_loosens_limits() {
    assert_no_cut_weakens(&strict_limits());
}

#[test]
fn limits_are_loosened_in_words() {
    let open = "basic_auth_users: {}\ntls_server_config: {}\n";
    let old = "rate_limit: {interval: 1s, burst: 20}\nproxy:\n  limits: {max_connections: 9}\n  \
               proxy_protocol: [{listen_address: ':1', sources: [10.0.0.1]}]\n";
    let new = "rate_limit: {}\nproxy:\n  limits: {max_connections: 8192}\n  proxy_protocol: []\n";
    let parse = |text: &str| parse(&format!("{open}{text}")).expect("a file");
    let (old, new) = (parse(old), parse(new));
    assert_eq!(find(&old, &new), Vec::<String>::new());
    let nothing = parse("");
    assert_eq!(find(&old, &nothing).len(), 3, "{:?}", find(&old, &nothing));
}

#[test]
fn the_limit_of_a_route_is_loosened_in_words() {
    let file = |more: &str| {
        let rule = "access: [{networks: [10.0.0.0/8]}]";
        let text =
            format!("proxy:\n  routes: [{{path: /a, upstreams: ['unix:/x'], {rule}{more}}}]\n");
        parse(&text).expect("a file")
    };
    let found = find(&file(", max_in_flight: 5"), &file(""));
    assert!(found.iter().any(|message| message.contains("write `max_in_flight: 30`")), "{found:?}");
    assert_eq!(found.len(), 1);
    for (old, new) in [(", max_in_flight: 5", ", max_in_flight: 30"), (", max_in_flight: 200", "")]
    {
        assert_eq!(find(&file(old), &file(new)), Vec::<String>::new());
    }
}

#[test]
fn a_file_whose_last_line_lost_its_end_is_refused() {
    let open = "basic_auth_users: {}\ntls_server_config: {}";
    let old = parse(&format!("{open}\n")).expect("a file");
    let new = parse(open).expect("a file");
    assert_eq!(incomplete_texts(&old, &new).count(), 1);
    assert_eq!(incomplete_texts(&new, &new).count(), 0);
}

#[test]
fn everyday_changes_need_no_declaration() {
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
    for (change, old, new) in [
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
        let messages = find(&file(&old), &file(&new));
        assert!(messages.is_empty(), "{change}: {messages:?}");
    }
}
