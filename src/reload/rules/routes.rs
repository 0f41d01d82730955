//! What a reload may not take from the rules of a route: a file that is cut in the middle of a rule
//! holds a weaker one.

use std::collections::HashMap;

use crate::config::Config;
use crate::config::routes::{Access, Prefix, Route, Rule};

/// In the log, of one reload.
const MOST_TOLD: usize = 20;

pub fn lost(old: &Config, new: &Config) -> Vec<String> {
    let before = Before::new(old.proxy.routes());
    let mut lost: Vec<String> =
        new.proxy.routes().iter().flat_map(|route| before.lost(route)).collect();
    if lost.len() > MOST_TOLD {
        let more = lost.len() - MOST_TOLD;
        lost.truncate(MOST_TOLD);
        lost.push(format!("proxy.routes: {more} more like these"));
    }
    lost
}

/// The routes that are in force. A cut may have taken the name from one, or its path.
struct Before<'a> {
    by_name: HashMap<&'a str, &'a Route>,
    by_place: HashMap<(&'a [String], &'a Prefix), &'a Route>,
    by_upstream: HashMap<String, Vec<&'a Route>>,
}

impl<'a> Before<'a> {
    fn new(routes: &'a [Route]) -> Self {
        let mut by_upstream: HashMap<String, Vec<&Route>> = HashMap::new();
        for route in routes {
            for upstream in &route.upstreams {
                by_upstream.entry(upstream.to_string()).or_default().push(route);
            }
        }
        let place = |route: &'a Route| (route.terms.hosts.as_slice(), &route.prefix);
        Self {
            by_name: routes.iter().map(|route| (route.name.as_str(), route)).collect(),
            by_place: routes.iter().map(|route| (place(route), route)).collect(),
            by_upstream,
        }
    }

    fn lost(&self, route: &Route) -> Vec<String> {
        let named = self.by_name.get(route.name.as_str()).copied();
        let there = self.by_place.get(&(route.terms.hosts.as_slice(), &route.prefix)).copied();
        let there = there.filter(|there| named.is_none_or(|named| named.name != there.name));
        if named.is_none() && there.is_none() {
            return self.opened(route);
        }
        named.into_iter().chain(there).flat_map(|before| of_route(before, route)).collect()
    }

    /// A new way to an exporter that has been behind rules.
    fn opened(&self, route: &Route) -> Vec<String> {
        let same = |upstream: &_| self.by_upstream.get(&ToString::to_string(upstream));
        let before = route.upstreams.iter().filter_map(same).flatten();
        let mut guarded = before.filter(|before| before.declared.contains(&"access"));
        match guarded.next() {
            Some(before) if !route.declared.contains(&"access") => vec![format!(
                "proxy.routes.{}.access: this would open the exporter of route {}: {HALF}, \
                 {EVERY_USER}",
                route.name, before.name
            )],
            _ => Vec::new(),
        }
    }
}

const HALF: &str = "refused, since a half-written file looks like this; to mean it";
const EVERY_USER: &str = "write `access: [{any_user: true}]`";

fn of_route(before: &Route, route: &Route) -> Vec<String> {
    let place = format!("proxy.routes.{}", route.name);
    let forgotten = |key| before.declared.contains(&key) && !route.declared.contains(&key);
    let keys = [
        ("access", EVERY_USER),
        ("paths", "write `paths: [/metrics]`"),
        ("methods", "write `methods: [GET, HEAD]`"),
        ("listeners", "write `listeners: []`"),
        ("allowed_targets", "give the route another name and path"),
        ("__scheme__", "write it"),
        ("__metrics_path__", "write it"),
    ];
    let keys = keys
        .into_iter()
        .filter(|(key, _)| forgotten(key))
        .map(|(key, remedy)| format!("{place}.{key}: this would take it away: {HALF}, {remedy}"));
    let conditions = lost_conditions(&before.terms.access, &route.terms.access);
    let conditions = conditions.into_iter().map(|(what, word)| {
        format!("{place}.access: this would drop {what} from a rule: {HALF}, write `{word}`")
    });
    keys.chain(conditions).collect()
}

/// What a rule asked for and asks for no more; with the word that means it.
fn lost_conditions(before: &Access, now: &Access) -> Vec<(&'static str, &'static str)> {
    let has_credentials =
        |rule: &Rule| rule.any_user || rule.users.is_some() || rule.tokens.is_some();
    let new_ones = now.rules.iter().enumerate().filter(|(_, rule)| !before.rules.contains(rule));
    let pairs = new_ones.filter_map(|(index, rule)| Some((before.rules.get(index)?, rule)));
    let of_pair = |(before, rule): (&Rule, &Rule)| {
        let declared = rule.declared;
        [
            (
                has_credentials(before) && !has_credentials(rule) && !declared.any_user,
                ("users or tokens", "any_user: false"),
            ),
            (
                before.client_names.is_some() && !declared.client_names,
                ("client_names", "client_names: []"),
            ),
            (before.networks.is_some() && !declared.networks, ("networks", "networks: []")),
        ]
    };
    let all = pairs.flat_map(of_pair);
    all.filter(|(is_lost, _)| *is_lost).map(|(_, lost)| lost).collect()
}
