//! Routes that take requests from each other.

use std::collections::{HashMap, HashSet};

use super::{RouteConfig, TARGETS};

/// The routes that have a prefix and a host (`None`: any) in common, by their numbers. Looking routes up
/// here makes the cost the same for each, however many there are.
type RouteTable<'r> = HashMap<(&'r str, Option<&'r str>), Vec<usize>>;

/// Finds the errors of a list of routes, each with the number of the route that is wrong.
pub fn find(routes: &[RouteConfig]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut names = HashSet::new();
    let mut table = RouteTable::new();
    for (index, route) in routes.iter().enumerate() {
        let name = format!("proxy.routes.{}", route.name);
        if outside_paths(route).any(|path| path == TARGETS) {
            let message = format!("{name}: {TARGETS} is the guard's own, for service discovery");
            found.push((index, message));
        }
        if !names.insert(&route.name) {
            found.push((index, format!("{name}: another route has this name")));
        }
        if let Some(other) = same_requests(routes, route, &table) {
            let message = format!(
                "{name}: route {} has the same path {}, host and listener: only one can be reached",
                other.name,
                route.prefix.shown()
            );
            found.push((index, message));
        }
        for host in host_keys(route) {
            table.entry((route.prefix.as_str(), host)).or_default().push(index);
        }
    }
    for (index, route) in routes.iter().enumerate() {
        found.extend(shadows(routes, index, route, &table));
    }
    found
}

/// Returns the hosts of a route, or `None` for any.
fn host_keys(route: &RouteConfig) -> impl Iterator<Item = Option<&str>> {
    let hosts = &route.policy.hosts;
    let any = hosts.is_empty().then_some(None);
    hosts.iter().map(|host| Some(host.as_str())).chain(any)
}

/// Finds the first earlier route that could get the same requests.
fn same_requests<'r>(
    routes: &'r [RouteConfig],
    route: &RouteConfig,
    table: &RouteTable<'_>,
) -> Option<&'r RouteConfig> {
    let same = host_keys(route).filter_map(|host| table.get(&(route.prefix.as_str(), host)));
    let first = same.filter_map(|same| {
        same.iter().copied().find(|other| share_a_listener(route, &routes[*other]))
    });
    first.min().map(|index| &routes[index])
}

/// Finds the paths of a route that another one with a longer prefix gets all requests for.
fn shadows(
    routes: &[RouteConfig],
    index: usize,
    route: &RouteConfig,
    table: &RouteTable<'_>,
) -> Vec<(usize, String)> {
    // A route that takes over has all hosts of this one.
    let Some(host) = host_keys(route).next() else { return Vec::new() };
    let shadow = |path: String| {
        let by = *ends(&path)
            .filter(|end| *end > route.prefix.as_str().len())
            .filter_map(|end| table.get(&(&path[..end], host)))
            .flatten()
            .find(|other| takes_over(&routes[**other], route))?;
        let message = format!(
            "proxy.routes.{}: {path} of route {} is never reached: it is below {}, the longer path of \
             route {}",
            routes[index.max(by)].name,
            route.name,
            routes[by].prefix.shown(),
            routes[by].name
        );
        Some((index.max(by), message))
    };
    outside_paths(route).filter_map(shadow).collect()
}

/// Returns where the prefixes of a path end.
fn ends(path: &str) -> impl Iterator<Item = usize> {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    slashes.chain([path.len()])
}

/// Returns whether all requests that could be for `route` could be for `by`, too.
fn takes_over(by: &RouteConfig, route: &RouteConfig) -> bool {
    let has_all = |by: &[String], of: &[String]| of.iter().all(|one| by.contains(one));
    let (by, route) = (&by.policy, &route.policy);
    by.hosts.is_empty() == route.hosts.is_empty()
        && has_all(&by.hosts, &route.hosts)
        && (by.listeners.is_empty()
            || !route.listeners.is_empty() && has_all(&by.listeners, &route.listeners))
}

/// Returns whether there is a listener that leads to both; a route that names none is on all of them.
fn share_a_listener(a: &RouteConfig, b: &RouteConfig) -> bool {
    let (a, b) = (&a.policy.listeners, &b.policy.listeners);
    a.is_empty() || b.is_empty() || a.iter().any(|one| b.contains(one))
}

/// Returns the paths by which clients reach a route, and those below which they do.
fn outside_paths(route: &RouteConfig) -> impl Iterator<Item = String> {
    let paths = route.patterns().iter().map(|pattern| pattern.exact().unwrap_or(pattern.above()));
    paths
        .chain(route.policy.public_paths.iter().map(String::as_str))
        .map(|path| route.outside(path))
}
