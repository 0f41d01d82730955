//! What a reload may not take from the rules of a route: a file that is cut in the middle of a rule
//! holds a weaker one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::config::Config;
use crate::config::routes::{AccessRules, Pattern, RouteConfig, Rule};

/// In the log, of one reload.
const MAX_REPORTED: usize = 20;

const HALF: &str = "refused, since a half-written file looks like this; to mean it";

pub fn find(old: &Config, new: &Config) -> Vec<String> {
    let anybody = match (new.users.is_empty(), new.proxy.lists_routes()) {
        (false, _) => "access: [{any_user: true}]",
        (true, true) => "access: [{any_client: true}]",
        (true, false) => "access: [{networks: [0.0.0.0/0, '::/0', unix]}]",
    };
    let before = PreviousRoutes::new(&old.proxy.routes, &new.proxy.routes);
    let weakened = new.proxy.routes.iter().flat_map(|route| {
        let known = before.of(route).into_iter();
        known.flat_map(|before| of_route(before, route, anybody)).collect::<Vec<_>>()
    });
    let taken_over = before.taken_over(&new.proxy.routes);
    let mut found: Vec<String> = weakened.chain(taken_over).collect();
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
    /// Those whose names are no more, by the exporters that they lead to.
    gone: HashMap<String, Vec<&'a RouteConfig>>,
}

impl<'a> PreviousRoutes<'a> {
    fn new(old: &'a [Arc<RouteConfig>], new: &[Arc<RouteConfig>]) -> Self {
        let names: HashSet<&str> = new.iter().map(|route| route.name.as_str()).collect();
        let mut gone: HashMap<String, Vec<&RouteConfig>> = HashMap::new();
        for route in old.iter().filter(|route| !names.contains(route.name.as_str())) {
            for upstream in &route.upstreams {
                gone.entry(upstream.to_string()).or_default().push(route);
            }
        }
        Self {
            by_name: old.iter().map(|route| (route.name.as_str(), route.as_ref())).collect(),
            gone,
        }
    }

    /// What a route was: by its name, or else, since a cut may have taken that, any that led to the
    /// same exporter and is there no more.
    fn of(&self, route: &RouteConfig) -> Vec<&'a RouteConfig> {
        if let Some(before) = self.by_name.get(route.name.as_str()) {
            return vec![before];
        }
        self.gone_to(route)
    }

    fn gone_to(&self, route: &RouteConfig) -> Vec<&'a RouteConfig> {
        let gone = |upstream: &_| self.gone.get(&ToString::to_string(upstream));
        let mut found: Vec<&RouteConfig> =
            route.upstreams.iter().filter_map(gone).flatten().copied().collect();
        found.dedup_by_key(|route| route.name.as_str());
        found
    }

    /// Routes whose paths another one, above them, lets through by other rules, once they have gone.
    fn taken_over(&self, new: &[Arc<RouteConfig>]) -> Vec<String> {
        let takes = |route: &RouteConfig, gone: &RouteConfig| {
            gone.prefix != route.prefix
                && route.prefix.covers(gone.prefix.as_str())
                && gone.policy.access != route.policy.access
                && gone.patterns().iter().any(|path| lets_through(route, gone, path))
        };
        let mut messages = Vec::new();
        for route in new {
            for gone in self.gone_to(route).into_iter().filter(|gone| takes(route, gone)) {
                messages.push(format!(
                    "proxy.routes.{}: without route {} this would let others through to its paths: \
                     {HALF}, give {0} the rules of {} first",
                    route.name, gone.name, gone.name
                ));
            }
        }
        messages
    }
}

/// Whether `route` has what clients reach as this path of `gone`.
fn lets_through(route: &RouteConfig, gone: &RouteConfig, path: &Pattern) -> bool {
    let outside = gone.outside(path.above());
    let has = |pattern: &Pattern| {
        let own = route.outside(pattern.as_str());
        match own.strip_suffix('*') {
            Some(below) => format!("{outside}/").starts_with(below),
            None => own == outside,
        }
    };
    route.patterns().iter().any(has)
}

/// Returns the words that mean any path, any method and any target: what a route without them has.
fn remedies(route: &RouteConfig) -> (String, &'static str, &'static str) {
    if route.is_default {
        let methods = "[GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS]";
        return ("[/*]".to_owned(), methods, "restart the guard");
    }
    let paths: Vec<&str> = route.patterns().iter().map(Pattern::as_str).collect();
    (format!("{paths:?}"), "[GET, HEAD]", "remove the route first, and give it another name")
}

fn of_route(before: &RouteConfig, route: &RouteConfig, anybody: &str) -> Vec<String> {
    let place = match route.is_default {
        true => "proxy".to_owned(),
        false => format!("proxy.routes.{}", route.name),
    };
    let forgotten = |key| before.declared.contains(&key) && !route.declared.contains(&key);
    let (paths, methods, targets) = remedies(route);
    let written = |key: &str, value: &str| format!("write `{key}: {value}`");
    let (was, is) = (&before.policy, &route.policy);
    let keys = [
        ("access", was.access != is.access, format!("write `{anybody}`")),
        ("paths", before.paths != route.paths, written("paths", &paths)),
        ("methods", was.methods != is.methods, written("methods", methods)),
        ("listeners", was.listeners != is.listeners, written("listeners", "[]")),
        ("strip_path", before.strip != route.strip, written("strip_path", "true")),
        ("allowed_targets", before.allowed_targets != route.allowed_targets, targets.to_owned()),
        ("__scheme__", before.upstreams != route.upstreams, written("__scheme__", "http")),
        ("__metrics_path__", before.paths != route.paths, written("__metrics_path__", "/metrics")),
    ];
    let keys = keys.into_iter().filter(|(key, differs, _)| *differs && forgotten(key));
    let keys = keys.map(|(key, _, remedy)| {
        format!("{place}.{key}: this would take it away: {HALF}, {remedy}")
    });
    // What is not declared are users, or certificates, which have their own protection.
    let is_declared = |route: &RouteConfig| route.declared.contains(&"access");
    let both = is_declared(before) && is_declared(route);
    let conditions = if both { lost_conditions(&was.access, &is.access) } else { Vec::new() };
    let conditions = conditions.into_iter().map(|(what, word)| {
        format!("{place}.access: this would drop {what} from a rule: {HALF}, write `{word}`")
    });
    keys.chain(conditions).collect()
}

/// What the last rule asked for and asks for no more; with the word that means it. A cut cannot be in
/// another one.
fn lost_conditions(before: &AccessRules, now: &AccessRules) -> Vec<(&'static str, &'static str)> {
    let Some((rule, others)) = now.rules().split_last() else { return Vec::new() };
    if before.rules().contains(rule) {
        return Vec::new();
    }
    let is_gone = |before: &Rule| !others.contains(before);
    let at_its_place = before.rules().get(others.len()).filter(|before| is_gone(before));
    let cut = before.rules().iter().filter(|before| is_gone(before) && is_part(rule, before));
    let has_credentials =
        |rule: &Rule| rule.any_user || rule.users.is_some() || rule.tokens.is_some();
    let declared = rule.declared;
    let of = |before: &Rule| {
        [
            (
                has_credentials(before)
                    && !has_credentials(rule)
                    && !declared.any_user
                    && !rule.any_client,
                ("users or tokens", "any_user: false"),
            ),
            (
                before.client_names.is_some() && !declared.client_names,
                ("client_names", "client_names: []"),
            ),
            (before.networks.is_some() && !declared.networks, ("networks", "networks: []")),
        ]
    };
    let mut all: Vec<_> = at_its_place.into_iter().chain(cut).flat_map(of).collect();
    all.sort_unstable_by_key(|(_, (what, _))| *what);
    all.dedup();
    all.into_iter().filter(|(is_lost, _)| *is_lost).map(|(_, found)| found).collect()
}

/// Whether a rule could be what is left of another one.
fn is_part(rule: &Rule, whole: &Rule) -> bool {
    fn begins<T: PartialEq>(part: Option<&Vec<T>>, whole: Option<&Vec<T>>) -> bool {
        part.is_none_or(|part| whole.is_some_and(|whole| whole.starts_with(part)))
    }
    begins(rule.users.as_ref(), whole.users.as_ref())
        && begins(rule.tokens.as_ref(), whole.tokens.as_ref())
        && begins(rule.client_names.as_ref(), whole.client_names.as_ref())
        && begins(rule.networks.as_ref(), whole.networks.as_ref())
}
