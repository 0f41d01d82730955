//! Routes that take requests from each other.

use super::{Pattern, Route, TARGETS};

/// What is wrong with `route` beside the ones before it.
pub fn with_earlier(route: &Route, earlier: &[Route]) -> Vec<String> {
    let place = format!("proxy.routes.{}", route.name);
    let mut messages = Vec::new();
    if outside_paths(route).any(|path| path == TARGETS) {
        messages.push(format!("{place}: {TARGETS} is the guard's own, for service discovery"));
    }
    for other in earlier {
        if other.name == route.name {
            messages.push(format!("{place}: another route has this name"));
        }
        if !(share(&route.terms.hosts, &other.terms.hosts) && share_a_listener(route, other)) {
            continue;
        }
        if other.prefix == route.prefix {
            messages.push(format!(
                "{place}: route {} has the same path {}, host and listener: only one can be reached",
                other.name,
                route.prefix.shown()
            ));
            continue;
        }
        for (shadowed, by) in [(route, other), (other, route)] {
            if !shadowed.prefix.covers(by.prefix.as_str()) {
                continue;
            }
            if let Some(path) = outside_paths(shadowed).find(|path| by.prefix.covers(path)) {
                messages.push(format!(
                    "{place}: {path} of route {} is never reached: it is below {}, the longer path \
                     of route {}",
                    shadowed.name,
                    by.prefix.shown(),
                    by.name
                ));
            }
        }
    }
    messages
}

/// A route that names hosts comes before those that name none.
fn share(a: &[String], b: &[String]) -> bool {
    (a.is_empty() && b.is_empty()) || a.iter().any(|one| b.contains(one))
}

/// A route that names no listener is on all of them.
fn share_a_listener(a: &Route, b: &Route) -> bool {
    let (a, b) = (&a.terms.listeners, &b.terms.listeners);
    a.is_empty() != b.is_empty() || share(a, b)
}

/// The single paths by which clients reach it.
fn outside_paths(route: &Route) -> impl Iterator<Item = String> {
    let exact = route.paths.iter().filter_map(Pattern::exact);
    exact.chain(route.terms.public_paths.iter().map(String::as_str)).map(|path| route.outside(path))
}
