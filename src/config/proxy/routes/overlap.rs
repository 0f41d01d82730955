//! Routes that take requests from each other.

use std::collections::{HashMap, HashSet};

use super::{RouteConfig, TARGETS};

/// What is wrong, with the number of the route that it is wrong of. A table of the paths that are
/// taken makes it cost the same for each, however many there are.
pub fn find(routes: &[RouteConfig]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut names = HashSet::new();
    let mut by_prefix: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        let place = format!("proxy.routes.{}", route.name);
        if outside_paths(route).any(|path| path == TARGETS) {
            found.push((
                index,
                format!("{place}: {TARGETS} is the guard's own, for service discovery"),
            ));
        }
        if !names.insert(&route.name) {
            found.push((index, format!("{place}: another route has this name")));
        }
        let same = by_prefix.entry(route.prefix.as_str()).or_default();
        if let Some(other) = same.iter().map(|other| &routes[*other]).find(|o| meet(route, o)) {
            found.push((
                index,
                format!(
                    "{place}: route {} has the same path {}, host and listener: only one can be \
                     reached",
                    other.name,
                    route.prefix.shown()
                ),
            ));
        }
        same.push(index);
    }
    for (index, route) in routes.iter().enumerate() {
        let shadows = outside_paths(route).filter_map(|path| {
            let by = ends(&path)
                .filter(|end| *end > route.prefix.as_str().len())
                .filter_map(|end| by_prefix.get(&path[..end]))
                .flatten()
                .find(|other| takes_over(&routes[**other], route))?;
            Some((path, *by))
        });
        for (path, by) in shadows {
            let message = format!(
                "proxy.routes.{}: {path} of route {} is never reached: it is below {}, the longer \
                 path of route {}",
                routes[index.max(by)].name,
                route.name,
                routes[by].prefix.shown(),
                routes[by].name
            );
            found.push((index.max(by), message));
        }
    }
    found
}

/// Where the prefixes of a path end.
fn ends(path: &str) -> impl Iterator<Item = usize> {
    let slashes = path.match_indices('/').map(|(at, _)| at);
    slashes.chain([path.len()])
}

/// Whether there are requests that could be for both.
fn meet(a: &RouteConfig, b: &RouteConfig) -> bool {
    share(&a.policy.hosts, &b.policy.hosts) && share_a_listener(a, b)
}

/// Whether all requests that could be for `route` could be for `by`, too.
fn takes_over(by: &RouteConfig, route: &RouteConfig) -> bool {
    let has_all = |by: &[String], of: &[String]| of.iter().all(|one| by.contains(one));
    let (by, route) = (&by.policy, &route.policy);
    by.hosts.is_empty() == route.hosts.is_empty()
        && has_all(&by.hosts, &route.hosts)
        && (by.listeners.is_empty()
            || !route.listeners.is_empty() && has_all(&by.listeners, &route.listeners))
}

/// A route that names hosts comes before those that name none.
fn share(a: &[String], b: &[String]) -> bool {
    (a.is_empty() && b.is_empty()) || a.iter().any(|one| b.contains(one))
}

/// A route that names no listener is on all of them.
fn share_a_listener(a: &RouteConfig, b: &RouteConfig) -> bool {
    let (a, b) = (&a.policy.listeners, &b.policy.listeners);
    a.is_empty() != b.is_empty() || share(a, b)
}

/// The paths by which clients reach it, and those below which they do.
fn outside_paths(route: &RouteConfig) -> impl Iterator<Item = String> {
    let paths = route.patterns().iter().map(|pattern| pattern.exact().unwrap_or(pattern.above()));
    paths
        .chain(route.policy.public_paths.iter().map(String::as_str))
        .map(|path| route.outside(path))
}
