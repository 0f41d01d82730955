//! What a reload may not take from the rules of a route: a file that is cut in the middle of a rule
//! holds a weaker one.

use crate::config::Config;
use crate::config::routes::{Route, Rule};

pub fn lost(old: &Config, new: &Config) -> Vec<String> {
    let routes = |config: &Config| config.proxy.routes.clone().unwrap_or_default();
    let (old, new) = (routes(old), routes(new));
    let pairs = new.iter().filter_map(|route| {
        let before = old.iter().find(|before| before.name == route.name)?;
        Some((before, route))
    });
    pairs.flat_map(|(before, route)| of_route(before, route)).collect()
}

fn of_route(before: &Route, route: &Route) -> Vec<String> {
    let place = format!("proxy.routes.{}", route.name);
    let half = "refused, since a half-written file looks like this; to mean it";
    let mut lost = Vec::new();
    if before.terms.access.is_declared && !route.terms.access.is_declared {
        lost.push(format!(
            "{place}.access: this would take its rules away: {half}, write `access: [{{any_user: \
             true}}]`"
        ));
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
    if before.allowed_targets.is_some() && route.allowed_targets.is_none() {
        lost.push(format!(
            "{place}.allowed_targets: this would allow every target: {half}, give the route another \
             name"
        ));
    }
    if !before.terms.listeners.is_empty() && route.terms.listeners.is_empty() {
        lost.push(format!(
            "{place}.listeners: this would open the route on every listener: {half}, give the route \
             another name"
        ));
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
