//! From a request to the route it takes, and what that route lets through.
//!
//! A request without a route goes nowhere. Each listener has its routes; of those, names (of the
//! `Host` header, then of SNI) are looked up before paths, the longest prefix wins, and a lookup costs
//! the same however many routes there are.

mod query;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use crate::auth;
use crate::auth::{Permit, Policy, PublicPath, PublicPaths};
use crate::config::routes::{Pattern, Prefix, Sharing};
use crate::config::{PerListener, routes};
use crate::tls::material::UpstreamMaterial;
use crate::upstream::{ClientTls, Replicas};

pub use targets::{Target, render as render_targets};

/// Why a request that may use a route does not pass it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No such path there.
    Path,
    /// With those that are allowed.
    Method(String),
    /// A `target` that is not listed, or that two programs may read in two ways.
    Target,
}

/// One route of a snapshot.
pub struct Route {
    pub name: String,
    pub replicas: Replicas,
    pub policy: Policy,
    public_paths: PublicPaths,
    config: routes::RouteConfig,
    methods: Vec<Method>,
}

impl Route {
    fn new(
        config: &routes::RouteConfig,
        identity: Option<&UpstreamMaterial>,
        previous: Option<&Routes>,
    ) -> Self {
        let before = previous.and_then(|routes| routes.named(&config.name));
        let server_name =
            config.policy.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let tls = identity.map(|identity| Arc::new(ClientTls::new(identity, server_name)));
        Self {
            name: config.name.clone(),
            replicas: Replicas::new(
                &config.upstreams,
                tls.as_ref(),
                before.map(|route| &route.replicas),
            ),
            policy: Policy::new(&config.policy.access),
            public_paths: PublicPaths::new(&config.policy.public_paths),
            // Each is one of a list of known ones.
            methods: config
                .policy
                .methods
                .iter()
                .filter_map(|method| method.parse().ok())
                .collect(),
            config: config.clone(),
        }
    }

    /// The path that the exporter sees.
    pub fn inside<'p>(&self, path: &'p str) -> &'p str {
        match self.config.strip {
            true => match path.strip_prefix(self.config.prefix.as_str()) {
                Some("") | None => "/",
                Some(rest) => rest,
            },
            false => path,
        }
    }

    fn is_on(&self, listener: &String) -> bool {
        self.config.policy.listeners.is_empty() || self.config.policy.listeners.contains(listener)
    }

    pub fn sharing(&self) -> Option<Sharing> {
        self.config.policy.sharing
    }

    /// Whether nobody has to show anything.
    pub fn public(&self, path: &str) -> Option<PublicPath> {
        self.public_paths.find(self.inside(path).as_bytes())
    }

    /// What is left to check once somebody may use the route.
    pub fn check(
        &self,
        permit: Permit,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Result<Permit, Refusal> {
        let inside = self.inside(path);
        let is_public = self.public_paths.find(inside.as_bytes()).is_some();
        if !is_public && !self.config.paths.iter().any(|pattern| pattern.matches(inside)) {
            return Err(Refusal::Path);
        }
        if !self.methods.contains(method) {
            return Err(Refusal::Method(self.config.policy.methods.join(", ")));
        }
        match &self.config.allowed_targets {
            Some(allowed) if !query::has_allowed_target(query, allowed) => Err(Refusal::Target),
            _ => Ok(permit),
        }
    }

    /// One line: who reaches what.
    pub fn explain(config: &routes::RouteConfig) -> String {
        let hosts = if config.policy.hosts.is_empty() {
            "any host".to_owned()
        } else {
            config.policy.hosts.join(", ")
        };
        let listeners = match config.policy.listeners.as_slice() {
            [] => String::new(),
            some => format!(" at {}", some.join(", ")),
        };
        let outside = |path: &str| config.outside(path);
        let paths: Vec<String> = config.paths.iter().map(Pattern::as_str).map(outside).collect();
        let upstreams: Vec<String> = config.upstreams.iter().map(ToString::to_string).collect();
        let inside = match (config.strip, config.prefix.as_str()) {
            (true, prefix) if !prefix.is_empty() => format!(" without {prefix}"),
            _ => String::new(),
        };
        let mut line = format!(
            "{}: {} {} on {hosts}{listeners} to {}{inside} for {}",
            config.name,
            config.policy.methods.join(", "),
            paths.join(", "),
            upstreams.join(" or "),
            auth::explain(&config.policy.access),
        );
        if !config.policy.public_paths.is_empty() {
            let public: Vec<String> =
                config.policy.public_paths.iter().map(String::as_str).map(outside).collect();
            line.push_str(&format!("; for anybody {}", public.join(", ")));
        }
        if let Some(targets) = &config.allowed_targets {
            line.push_str(&format!("; only with a target of {}", targets.join(", ")));
        }
        if let Some(Sharing { cache_for, same_for_all }) = config.policy.sharing {
            let whom = if same_for_all { "all" } else { "each user" };
            line.push_str(&format!("; answers shared among requests of {whom}"));
            if !cache_for.is_zero() {
                line.push_str(&format!(" for {} s", cache_for.as_secs_f64()));
            }
        }
        line
    }
}

/// The prefixes of one host, or of any.
#[derive(Default)]
struct PrefixTable {
    by_prefix: HashMap<Prefix, Arc<Route>>,
    longest: usize,
}

impl PrefixTable {
    fn add(&mut self, route: &Arc<Route>) {
        let prefix = route.config.prefix.clone();
        self.longest = self.longest.max(prefix.as_str().len());
        self.by_prefix.insert(prefix, Arc::clone(route));
    }

    /// From the longest prefix that any route has to none at all.
    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let ends = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
        let mut ends: Vec<usize> = ends.take_while(|end| *end <= self.longest).collect();
        ends.push(path.len());
        ends.iter().rev().filter_map(|end| path.get(..*end)).find_map(|p| self.by_prefix.get(p))
    }
}

/// The routes of one listener.
#[derive(Default)]
struct ListenerRoutes {
    all: Vec<Arc<Route>>,
    by_host: HashMap<String, PrefixTable>,
    any_host: PrefixTable,
}

impl ListenerRoutes {
    fn new<'r>(routes: impl Iterator<Item = &'r Arc<Route>>) -> Self {
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

    fn find(&self, host: &str, server_name: Option<&str>, path: &str) -> Option<&Arc<Route>> {
        let of_host = |host| self.by_host.get(&name_of(host))?.find(path);
        let named = match self.by_host.is_empty() {
            true => None,
            false => of_host(host).or_else(|| of_host(server_name?)),
        };
        named.or_else(|| self.any_host.find(path))
    }
}

/// Every route of one snapshot.
pub struct Routes {
    by_name: HashMap<String, Arc<Route>>,
    by_listener: PerListener<ListenerRoutes>,
}

impl Routes {
    /// Upstreams that stay keep their connections and what is known of them.
    pub fn new(
        routes: &[routes::RouteConfig],
        identities: &HashMap<String, Arc<UpstreamMaterial>>,
        previous: Option<&Self>,
    ) -> Self {
        let route = |config: &routes::RouteConfig| {
            Arc::new(Route::new(config, identities.get(&config.name).map(Arc::as_ref), previous))
        };
        let all: Vec<Arc<Route>> = routes.iter().map(route).collect();
        let mut named: Vec<&String> =
            routes.iter().flat_map(|route| &route.policy.listeners).collect();
        named.sort();
        named.dedup();
        let of = |name: &String| ListenerRoutes::new(all.iter().filter(|route| route.is_on(name)));
        let own = named.into_iter().map(|name| (name.clone(), of(name))).collect();
        let everywhere = all.iter().filter(|route| route.config.policy.listeners.is_empty());
        let by_listener = PerListener { all: ListenerRoutes::new(everywhere), own };
        let by_name = all.into_iter().map(|route| (route.name.clone(), route)).collect();
        Self { by_name, by_listener }
    }

    /// `host`: of the `Host` header, or `:authority`; `server_name`: what the connection was opened
    /// for.
    pub fn find(
        &self,
        listener: &str,
        host: &str,
        server_name: Option<&str>,
        path: &str,
    ) -> Option<&Arc<Route>> {
        self.by_listener.of(listener).find(host, server_name, path)
    }

    /// Those that are reached by this listener.
    pub fn on(&self, listener: &str) -> impl Iterator<Item = &Arc<Route>> {
        self.by_listener.of(listener).all.iter()
    }

    fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.by_name.get(name)
    }
}

/// Where the port of an authority begins, or would.
fn host_end(authority: &str) -> usize {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => colon,
        _ => authority.len(),
    }
}

/// Without the port, in lower case, without the dot of a fully qualified name.
fn name_of(host: &str) -> String {
    let name = &host[..host_end(host)];
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
