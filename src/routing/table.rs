//! The routes of one listener, by host and by path.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Route, host_end};
use crate::config::routes::Prefix;

/// The routes of one host, or of any host, by the prefix of their paths.
#[derive(Default)]
struct PrefixTable {
    by_prefix: HashMap<Prefix, Arc<Route>>,
    /// The length of the longest prefix in bytes.
    max_prefix_len: usize,
}

impl PrefixTable {
    fn add(&mut self, route: &Arc<Route>) {
        let prefix = route.config.prefix.clone();
        self.max_prefix_len = self.max_prefix_len.max(prefix.as_str().len());
        self.by_prefix.insert(prefix, Arc::clone(route));
    }

    /// Looks for the path's prefixes, from the longest that any route has to none at all.
    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let ends = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let mut ends: Vec<usize> = ends.take_while(|end| *end <= self.max_prefix_len).collect();
        ends.push(path.len());
        ends.iter().rev().filter_map(|end| path.get(..*end)).find_map(|p| self.by_prefix.get(p))
    }
}

/// The routes of one listener.
#[derive(Default)]
pub struct ListenerRoutes {
    all: Vec<Arc<Route>>,
    by_host: HashMap<String, PrefixTable>,
    any_host: PrefixTable,
}

impl ListenerRoutes {
    /// Builds the table of these routes.
    pub fn new<'r>(routes: impl Iterator<Item = &'r Arc<Route>>) -> Self {
        let mut result = Self::default();
        for route in routes {
            for host in &route.config.policy.hosts {
                result.by_host.entry(host.clone()).or_default().add(route);
            }
            if route.config.policy.hosts.is_empty() {
                result.any_host.add(route);
            }
            result.all.push(Arc::clone(route));
        }
        result
    }

    /// Returns the routes in the order of the configuration.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.all.iter()
    }

    /// Finds the route of a request: by `host`, then by `server_name`, then among the routes of any
    /// host; for each, the route with the longest prefix of `path`.
    pub fn find(&self, host: &str, server_name: Option<&str>, path: &str) -> Option<&Arc<Route>> {
        let of_host = |host| self.by_host.get(&name_of(host))?.find(path);
        let named = match self.by_host.is_empty() {
            true => None,
            false => of_host(host).or_else(|| of_host(server_name?)),
        };
        named.or_else(|| self.any_host.find(path))
    }
}

/// Returns a host without the port, in lower case, without the dot of a fully qualified name.
fn name_of(host: &str) -> String {
    let name = &host[..host_end(host)];
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
