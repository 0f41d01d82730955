//! From a request to the route it takes, and what that route lets through.
//!
//! A request without a route goes nowhere. Hosts are looked up before paths, the longest prefix
//! wins, and a lookup costs the same however many routes there are.

mod query;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use crate::auth::{self, Permit, Policy, PublicPath, PublicPaths};
use crate::config::routes::{self, Pattern, Prefix, Sharing};
use crate::tls::material::UpstreamIdentity;
use crate::upstream::{ClientTls, Replicas};

pub use targets::{Target, render as render_targets};

/// Why a request that may use a route does not pass it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
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
    config: routes::Route,
    methods: Vec<Method>,
}

impl Route {
    fn new(
        config: &routes::Route,
        identity: Option<&UpstreamIdentity>,
        previous: Option<&Routes>,
    ) -> Self {
        let before = previous.and_then(|routes| routes.named(&config.name));
        let server_name = config.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let tls = identity.map(|identity| Arc::new(ClientTls::new(identity, server_name)));
        Self {
            name: config.name.clone(),
            replicas: Replicas::new(
                &config.upstreams,
                tls.as_ref(),
                before.map(|route| &route.replicas),
            ),
            policy: Policy::new(&config.access),
            public_paths: PublicPaths::new(&config.public_paths),
            // Each is one of a list of known ones.
            methods: config.methods.iter().filter_map(|method| method.parse().ok()).collect(),
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

    pub fn sharing(&self) -> Option<Sharing> {
        self.config.sharing
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
    ) -> Result<Permit, Blocked> {
        let inside = self.inside(path);
        let is_public = self.public_paths.find(inside.as_bytes()).is_some();
        if !is_public && !self.config.paths.iter().any(|pattern| pattern.matches(inside)) {
            return Err(Blocked::Path);
        }
        if !self.methods.contains(method) {
            return Err(Blocked::Method(self.config.methods.join(", ")));
        }
        match &self.config.allowed_targets {
            Some(allowed) if !query::has_allowed_target(query, allowed) => Err(Blocked::Target),
            _ => Ok(permit),
        }
    }

    /// One line: who reaches what.
    pub fn explain(config: &routes::Route) -> String {
        let hosts =
            if config.hosts.is_empty() { "any host".to_owned() } else { config.hosts.join(", ") };
        let outside = |path: &str| config.outside(path);
        let paths: Vec<String> = config.paths.iter().map(Pattern::as_str).map(outside).collect();
        let upstreams: Vec<String> = config.upstreams.iter().map(ToString::to_string).collect();
        let inside = match (config.strip, config.prefix.as_str()) {
            (true, prefix) if !prefix.is_empty() => format!(" without {prefix}"),
            _ => String::new(),
        };
        let mut line = format!(
            "{}: {} {} on {hosts} to {}{inside} for {}",
            config.name,
            config.methods.join(", "),
            paths.join(", "),
            upstreams.join(" or "),
            auth::explain(&config.access),
        );
        if !config.public_paths.is_empty() {
            let public: Vec<String> =
                config.public_paths.iter().map(String::as_str).map(outside).collect();
            line.push_str(&format!("; for anybody {}", public.join(", ")));
        }
        if let Some(targets) = &config.allowed_targets {
            line.push_str(&format!("; only with a target of {}", targets.join(", ")));
        }
        if let Some(Sharing { cache_for, same_for_all }) = config.sharing {
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
struct Table {
    by_prefix: HashMap<Prefix, Arc<Route>>,
    longest: usize,
}

impl Table {
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

/// Every route of one snapshot.
#[derive(Default)]
pub struct Routes {
    all: Vec<Arc<Route>>,
    by_host: HashMap<String, Table>,
    any_host: Table,
}

impl Routes {
    /// Upstreams that stay keep their connections and what is known of them.
    pub fn new(
        routes: &[routes::Route],
        identities: &HashMap<String, UpstreamIdentity>,
        previous: Option<&Self>,
    ) -> Self {
        let mut result = Self::default();
        for config in routes {
            let route = Arc::new(Route::new(config, identities.get(&config.name), previous));
            for host in &config.hosts {
                result.by_host.entry(host.clone()).or_default().add(&route);
            }
            if config.hosts.is_empty() {
                result.any_host.add(&route);
            }
            result.all.push(route);
        }
        result
    }

    /// `host`: of the `Host` header, or `:authority`.
    pub fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        let of_host = match self.by_host.is_empty() {
            true => None,
            false => self.by_host.get(&name_of(host)),
        };
        of_host.and_then(|table| table.find(path)).or_else(|| self.any_host.find(path))
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.all.iter()
    }

    fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.all.iter().find(|route| route.name == name)
    }
}

/// Without the port, in lower case, without the dot of a fully qualified name.
fn name_of(host: &str) -> String {
    let end = match host.rfind(':') {
        Some(colon) if !host[colon..].contains(']') => colon,
        _ => host.len(),
    };
    let name = &host[..end];
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
