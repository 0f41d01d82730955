//! Finds the route of a request, and checks what that route lets through.
//!
//! There is always a route: the routes of the file, or without any the default route to `--upstream`.
//! Each listener has its routes; among them, names (of the `Host` field, then of SNI) are looked up
//! before paths, the longest prefix wins, and a lookup costs the same however many routes there are.

mod explain;
mod query;
mod table;
mod targets;

use std::collections::HashMap;
use std::sync::Arc;

use http::Method;

use crate::auth::{Permit, Policy, PublicPath, PublicPaths};
use crate::config::routes::{RouteConfig, Sharing, is_plain};
use crate::config::{PerListener, Upstream};
use crate::tls::material::UpstreamMaterial;
use crate::upstream::{ClientTls, Replicas};

pub use explain::explain;
use table::ListenerRoutes;
pub use targets::{Target, render as render_targets};

/// The reason why a caller that may use a route is refused by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The route does not forward the path.
    Path,
    /// The route does not forward the method; with those that it does.
    Method(String),
    /// The `target` is not listed, or two programs may read it in two ways, or a body may hold another.
    Target,
}

/// The parts of a request that routes are chosen and checked by.
#[derive(Debug, Clone, Copy)]
pub struct RequestTarget<'a> {
    /// The method.
    pub method: &'a Method,
    /// The path, as it was sent.
    pub path: &'a str,
    /// The query, as it was sent.
    pub query: Option<&'a str>,
    /// The whole request target, byte for byte.
    pub raw: &'a [u8],
    /// True if a body follows the head.
    pub has_body: bool,
}

impl RequestTarget<'_> {
    /// Returns whether every program reads the path alike.
    pub fn is_plain(&self) -> bool {
        std::str::from_utf8(self.raw).is_ok() && is_plain(self.path).is_ok()
    }
}

/// One route of a snapshot.
pub struct Route {
    config: Arc<RouteConfig>,
    /// The exporters that the route leads to.
    pub replicas: Replicas,
    /// The rules that decide who may use the route.
    pub policy: Policy,
    public_paths: PublicPaths,
    /// `None`: any method.
    methods: Option<Vec<Method>>,
}

/// Everything that the routes of a snapshot are built from beside their configuration.
pub struct RouteContext<'a> {
    /// `--upstream`, for the default route.
    pub upstream: &'a Upstream,
    /// True if the file has users.
    pub has_users: bool,
    /// CAs and client certificates for upstreams with TLS, by the names of the routes that have one.
    pub upstream_materials: &'a HashMap<String, Arc<UpstreamMaterial>>,
    /// The routes in force, whose upstreams keep their connections and their health.
    pub previous: Option<&'a Routes>,
}

impl Route {
    fn new(config: &Arc<RouteConfig>, context: &RouteContext<'_>) -> Self {
        let before = context.previous.and_then(|routes| routes.named(&config.name));
        let policy = &config.policy;
        let server_name = policy.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        let material = context.upstream_materials.get(&config.name);
        let tls = material.map(|material| Arc::new(ClientTls::new(material, server_name)));
        let upstreams = match config.is_default {
            true => std::slice::from_ref(context.upstream),
            false => &config.upstreams,
        };
        // Each method is one of a list of known ones.
        let methods = policy.methods.as_ref();
        let methods = methods.map(|names| names.iter().filter_map(|name| name.parse().ok()));
        Self {
            replicas: Replicas::new(upstreams, tls.as_ref(), before.map(|route| &route.replicas)),
            policy: Policy::new(&policy.access, context.has_users),
            public_paths: PublicPaths::new(&policy.public_paths),
            methods: methods.map(Iterator::collect),
            config: Arc::clone(config),
        }
    }

    /// Returns the name of the route.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Returns the name of a route that the file lists, for answers and the log; `None` for the
    /// default route, which nobody has named.
    pub fn listed_name(&self) -> Option<&str> {
        (!self.config.is_default).then_some(&self.config.name)
    }

    /// Returns whether the exporter is asked for another path than the client asks for.
    pub fn strips_path(&self) -> bool {
        self.config.strip
    }

    /// Returns the path that the exporter sees.
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
        let listeners = &self.config.policy.listeners;
        listeners.is_empty() || listeners.contains(listener)
    }

    /// Returns whether identical requests share an answer.
    pub fn sharing(&self) -> Option<Sharing> {
        self.config.policy.sharing
    }

    /// Returns whether the route decides by the path of a request, so that every program has to read
    /// the path alike.
    pub fn decides_by_path(&self) -> bool {
        !self.config.is_default || self.config.paths.is_some()
    }

    /// Returns whether service discovery has something to say of the route: the default route takes
    /// part once it has labels.
    pub fn is_discovered(&self) -> bool {
        !self.config.is_default || self.config.declared.contains(&"labels")
    }

    /// Returns the requests that the route may have in flight; `None`: as many as `proxy.limits` says.
    pub fn max_in_flight(&self) -> Option<usize> {
        self.config.policy.max_in_flight
    }

    /// Returns whether a request needs no credentials: a GET or HEAD of a public path, without a body.
    /// On the default route the whole target has to be the public path, without a query.
    pub fn public(&self, target: &RequestTarget<'_>) -> Option<PublicPath> {
        if target.has_body || ![Method::GET, Method::HEAD].contains(target.method) {
            return None;
        }
        match self.config.is_default {
            true => self.public_paths.find(target.raw),
            false => self.public_paths.find(self.inside(target.path).as_bytes()),
        }
    }

    /// Checks what is left to check once a caller may use the route.
    ///
    /// # Errors
    ///
    /// Returns what the route does not let through.
    pub fn check(&self, permit: Permit, target: &RequestTarget<'_>) -> Result<Permit, Refusal> {
        let is_forwarded = self.config.forwards(self.inside(target.path));
        if !is_forwarded && self.public(target).is_none() {
            return Err(Refusal::Path);
        }
        if self.methods.as_ref().is_some_and(|methods| !methods.contains(target.method)) {
            let names = self.config.policy.methods.as_deref().unwrap_or_default();
            return Err(Refusal::Method(names.join(", ")));
        }
        // A form in the body may hold a target that wins over that of the query, as in Go's FormValue.
        let is_allowed = |allowed: &[String]| {
            !target.has_body && query::has_allowed_target(target.query, allowed)
        };
        match &self.config.allowed_targets {
            Some(allowed) if !is_allowed(allowed) => Err(Refusal::Target),
            _ => Ok(permit),
        }
    }
}

/// Every route of one snapshot.
pub struct Routes {
    by_name: HashMap<String, Arc<Route>>,
    by_listener: PerListener<ListenerRoutes>,
}

impl Routes {
    /// Builds the routes of a configuration.
    pub fn new(configs: &[Arc<RouteConfig>], context: &RouteContext<'_>) -> Self {
        let route = |config: &Arc<RouteConfig>| Arc::new(Route::new(config, context));
        let all: Vec<Arc<Route>> = configs.iter().map(route).collect();
        let mut named: Vec<&String> =
            configs.iter().flat_map(|config| &config.policy.listeners).collect();
        named.sort();
        named.dedup();
        let of = |name: &String| ListenerRoutes::new(all.iter().filter(|route| route.is_on(name)));
        let own = named.into_iter().map(|name| (name.clone(), of(name))).collect();
        let everywhere = all.iter().filter(|route| route.config.policy.listeners.is_empty());
        let by_listener = PerListener { all: ListenerRoutes::new(everywhere), own };
        let by_name = all.into_iter().map(|route| (route.name().to_owned(), route)).collect();
        Self { by_name, by_listener }
    }

    /// Finds the route of a request.
    ///
    /// `host` is the `Host` field or `:authority`, `server_name` the name that the connection was
    /// opened for.
    pub fn find(
        &self,
        listener: &str,
        host: &str,
        server_name: Option<&str>,
        path: &str,
    ) -> Option<&Arc<Route>> {
        self.by_listener.of(listener).find(host, server_name, path)
    }

    /// Returns the routes that are reached by this listener.
    pub fn on(&self, listener: &str) -> impl Iterator<Item = &Arc<Route>> {
        self.by_listener.of(listener).all()
    }

    /// Returns every route, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Route>> {
        self.by_name.values()
    }

    fn named(&self, name: &str) -> Option<&Arc<Route>> {
        self.by_name.get(name)
    }
}

/// Returns where the port of an authority begins, or would.
fn host_end(authority: &str) -> usize {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => colon,
        _ => authority.len(),
    }
}
