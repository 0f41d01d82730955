//! What a reload may not take from the rules of a route: a file that is cut in the middle of a rule
//! holds a weaker one.

use std::collections::HashMap;

use crate::config::Config;
use crate::config::routes::{Route, Rule};

pub fn lost(old: &Config, new: &Config) -> Vec<String> {
    let before: HashMap<&str, &Route> =
        old.proxy.routes().iter().map(|route| (route.name.as_str(), route)).collect();
    let pairs =
        new.proxy.routes().iter().filter_map(|route| Some((before.get(&*route.name)?, route)));
    pairs.flat_map(|(before, route)| of_route(before, route)).collect()
}

fn of_route(before: &Route, route: &Route) -> Vec<String> {
    let place = format!("proxy.routes.{}", route.name);
    let half = "refused, since a half-written file looks like this; to mean it";
    let mut lost = Vec::new();
    let forgotten = |key| before.declared.contains(&key) && !route.declared.contains(&key);
    for (key, remedy) in [
        ("access", "write `access: [{any_user: true}]`"),
        ("paths", "write `paths: [/metrics]`"),
        ("methods", "write `methods: [GET, HEAD]`"),
        ("listeners", "write `listeners: []`"),
        ("allowed_targets", "give the route another name"),
    ] {
        if forgotten(key) {
            lost.push(format!("{place}.{key}: this would take it away: {half}, {remedy}"));
        }
    }
    let rules = before.terms.access.rules.iter().zip(&route.terms.access.rules);
    for (before, rule) in rules.filter(|(before, rule)| same_callers(before, rule)) {
        if before.client_names.is_some() && !rule.declared.client_names {
            lost.push(format!(
                "{place}.access: this would drop client_names from a rule: {half}, write \
                 `client_names: []`"
            ));
        }
        if before.networks.is_some() && !rule.declared.networks {
            lost.push(format!(
                "{place}.access: this would drop networks from a rule: {half}, write \
                 `networks: []`"
            ));
        }
    }
    lost
}

/// Whether it is the same rule, as far as it goes.
fn same_callers(before: &Rule, rule: &Rule) -> bool {
    before.any_user == rule.any_user
        && before.users == rule.users
        && before.tokens == rule.tokens
        && (rule.client_names.is_none() || before.client_names == rule.client_names)
}
