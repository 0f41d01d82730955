//! Finds the protections that a reload would remove from a route. A file that is cut in the middle
//! of a rule holds a weaker rule.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::Config;
use crate::config::routes::{AccessRules, Pattern, RouteConfig, RoutePolicy, Rule};

/// Findings of one reload that are listed in the log; the others are counted.
const MAX_REPORTED: usize = 20;

const HALF_WRITTEN: &str = "refused, since a half-written file looks like this; to mean it";

/// Describes the protections of routes that `new` removes.
pub fn find(old: &Config, new: &Config) -> Vec<String> {
    // The rule that admits every client which gets through the listener.
    let open_access = match (new.users.is_empty(), new.proxy.lists_routes()) {
        (false, _) => "access: [{any_user: true}]",
        (true, true) => "access: [{any_client: true}]",
        (true, false) => "access: [{networks: [0.0.0.0/0, '::/0', unix]}]",
    };
    let previous = PreviousRoutes::new(&old.proxy.routes, &new.proxy.routes);
    let removed = new.proxy.routes.iter().flat_map(|route| {
        let replaced = previous.replaced_by(route).into_iter();
        replaced.flat_map(|old| removed_protections(old, route, open_access)).collect::<Vec<_>>()
    });
    let taken_over = previous.taken_over(&new.proxy.routes);
    let mut found: Vec<String> = removed.chain(taken_over).collect();
    if found.len() > MAX_REPORTED {
        let more = found.len() - MAX_REPORTED;
        found.truncate(MAX_REPORTED);
        found.push(format!("proxy.routes: {more} more like these"));
    }
    found
}

/// The routes that are in force.
struct PreviousRoutes<'a> {
    by_name: HashMap<&'a str, &'a RouteConfig>,
    /// The routes whose names the new configuration does not have, by the exporters they lead to.
    removed: HashMap<String, Vec<&'a RouteConfig>>,
}

impl<'a> PreviousRoutes<'a> {
    fn new(old: &'a [Arc<RouteConfig>], new: &[Arc<RouteConfig>]) -> Self {
        let names: HashSet<&str> = new.iter().map(|route| route.name.as_str()).collect();
        let mut removed: HashMap<String, Vec<&RouteConfig>> = HashMap::new();
        for route in old.iter().filter(|route| !names.contains(route.name.as_str())) {
            for upstream in &route.upstreams {
                removed.entry(upstream.to_string()).or_default().push(route);
            }
        }
        Self {
            by_name: old.iter().map(|route| (route.name.as_str(), route.as_ref())).collect(),
            removed,
        }
    }

    /// Returns the routes that a new route may replace: the one of the same name, or else, since a
    /// cut may have removed the name, every removed route to the same exporter.
    fn replaced_by(&self, route: &RouteConfig) -> Vec<&'a RouteConfig> {
        if let Some(old) = self.by_name.get(route.name.as_str()) {
            return vec![old];
        }
        self.removed_with_upstream_of(route)
    }

    fn removed_with_upstream_of(&self, route: &RouteConfig) -> Vec<&'a RouteConfig> {
        let removed = |upstream: &_| self.removed.get(&ToString::to_string(upstream));
        let mut found: Vec<&RouteConfig> =
            route.upstreams.iter().filter_map(removed).flatten().copied().collect();
        found.dedup_by_key(|route| route.name.as_str());
        found
    }

    /// Describes the removed routes with paths that a route with a shorter prefix lets through by
    /// other rules.
    fn taken_over(&self, new: &[Arc<RouteConfig>]) -> Vec<String> {
        let takes_over = |route: &RouteConfig, removed: &RouteConfig| {
            removed.prefix != route.prefix
                && route.prefix.covers(removed.prefix.as_str())
                && removed.policy.access != route.policy.access
                && removed.patterns().iter().any(|path| lets_through(route, removed, path))
        };
        let mut messages = Vec::new();
        for route in new {
            let removed = self.removed_with_upstream_of(route).into_iter();
            for removed in removed.filter(|removed| takes_over(route, removed)) {
                messages.push(format!(
                    "proxy.routes.{}: without route {} this would let others through to its paths: \
                     {HALF_WRITTEN}, give {0} the rules of {} first",
                    route.name, removed.name, removed.name
                ));
            }
        }
        messages
    }
}

/// Returns whether `route` lets through what clients reach as this path of `removed`.
fn lets_through(route: &RouteConfig, removed: &RouteConfig, path: &Pattern) -> bool {
    let outside = removed.outside(path.above());
    let is_let_through = |pattern: &Pattern| {
        let own = route.outside(pattern.as_str());
        match own.strip_suffix('*') {
            Some(below) => format!("{outside}/").starts_with(below),
            None => own == outside,
        }
    };
    route.patterns().iter().any(is_let_through)
}

/// Returns the settings that have the same effect as no `paths`, no `methods` and no
/// `allowed_targets`.
fn remedies(route: &RouteConfig) -> (String, &'static str, &'static str) {
    if route.is_default {
        let methods = "[GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]";
        return ("[/*]".to_owned(), methods, "restart the guard");
    }
    let paths: Vec<&str> = route.patterns().iter().map(Pattern::as_str).collect();
    (format!("{paths:?}"), "[GET, HEAD]", "remove the route first, and give it another name")
}

/// Describes the protections of `old` that `route`, which may replace it, does not have.
fn removed_protections(old: &RouteConfig, route: &RouteConfig, open_access: &str) -> Vec<String> {
    let section = match route.is_default {
        true => "proxy".to_owned(),
        false => format!("proxy.routes.{}", route.name),
    };
    let is_dropped = |key| old.declared.contains(&key) && !route.declared.contains(&key);
    let (paths, methods, targets) = remedies(route);
    let written = |key: &str, value: &str| format!("write `{key}: {value}`");
    let (was, is) = (&old.policy, &route.policy);
    let keys = [
        ("access", was.access != is.access, format!("write `{open_access}`")),
        ("paths", old.paths != route.paths, written("paths", &paths)),
        ("methods", was.methods != is.methods, written("methods", methods)),
        ("listeners", was.listeners != is.listeners, written("listeners", "[]")),
        ("strip_path", old.strip != route.strip, written("strip_path", "true")),
        ("allowed_targets", old.allowed_targets != route.allowed_targets, targets.to_owned()),
        ("__scheme__", old.upstreams != route.upstreams, written("__scheme__", "http")),
        ("__metrics_path__", old.paths != route.paths, written("__metrics_path__", "/metrics")),
    ];
    let revokes =
        |policy: &RoutePolicy| policy.upstream_tls.as_ref().is_some_and(|tls| !tls.crls.is_empty());
    let says_crls = is.upstream_tls.as_ref().is_some_and(|tls| tls.declares_crls);
    let crls_gone =
        (revokes(was) && !revokes(is) && is.upstream_tls.is_some() && !says_crls).then(|| {
            format!(
                "{section}.upstream_tls.crl_file: this would take it away: {HALF_WRITTEN}, {}",
                written("crl_file", "[]")
            )
        });
    let keys = keys.into_iter().filter(|(key, differs, _)| *differs && is_dropped(key));
    let keys = keys.map(|(key, _, remedy)| {
        format!("{section}.{key}: this would take it away: {HALF_WRITTEN}, {remedy}")
    });
    // Access that is not declared follows from users or certificates, which are checked elsewhere.
    let is_declared = |route: &RouteConfig| route.declared.contains(&"access");
    let are_declared = is_declared(old) && is_declared(route);
    let conditions =
        if are_declared { removed_conditions(&was.access, &is.access) } else { Vec::new() };
    let conditions = conditions.into_iter().map(|(condition, remedy)| {
        format!(
            "{section}.access: this would drop {condition} from a rule: {HALF_WRITTEN}, \
             write `{remedy}`"
        )
    });
    keys.chain(crls_gone).chain(conditions).collect()
}

/// Returns the conditions that the last rule does not have any more, each with the setting that
/// declares its removal. A cut cannot be in any other rule of a route.
fn removed_conditions(old: &AccessRules, new: &AccessRules) -> Vec<(&'static str, &'static str)> {
    let Some((rule, others)) = new.rules().split_last() else { return Vec::new() };
    if old.rules().contains(rule) {
        return Vec::new();
    }
    let is_removed = |old: &Rule| !others.contains(old);
    let same_index = old.rules().get(others.len()).filter(|old| is_removed(old));
    let cut = old.rules().iter().filter(|old| is_removed(old) && can_be_cut_from(rule, old));
    let has_credentials =
        |rule: &Rule| rule.any_user || rule.users.is_some() || rule.tokens.is_some();
    let declared = rule.declared;
    let conditions = |old: &Rule| {
        [
            (
                has_credentials(old)
                    && !has_credentials(rule)
                    && !declared.any_user
                    && !rule.any_client,
                ("users or tokens", "any_user: false"),
            ),
            (
                old.client_names.is_some() && !declared.client_names,
                ("client_names", "client_names: []"),
            ),
            (old.networks.is_some() && !declared.networks, ("networks", "networks: []")),
        ]
    };
    let mut all: Vec<_> = same_index.into_iter().chain(cut).flat_map(conditions).collect();
    all.sort_unstable_by_key(|(_, (condition, _))| *condition);
    all.dedup();
    all.into_iter().filter(|(is_removed, _)| *is_removed).map(|(_, found)| found).collect()
}

/// Returns whether a rule can be the rest of `whole` after a cut.
fn can_be_cut_from(rule: &Rule, whole: &Rule) -> bool {
    fn is_prefix<T: PartialEq>(part: Option<&Vec<T>>, whole: Option<&Vec<T>>) -> bool {
        part.is_none_or(|part| whole.is_some_and(|whole| whole.starts_with(part)))
    }
    is_prefix(rule.users.as_ref(), whole.users.as_ref())
        && is_prefix(rule.tokens.as_ref(), whole.tokens.as_ref())
        && is_prefix(rule.client_names.as_ref(), whole.client_names.as_ref())
        && is_prefix(rule.networks.as_ref(), whole.networks.as_ref())
}
