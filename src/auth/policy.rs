//! Who may use a route: any rule admits of which everything holds.

use super::caller::Identity;
use super::{Caller, Permit, Refusal};
use crate::config::routes::{AccessRules, Rule};

#[derive(Debug)]
pub struct Policy(Vec<Rule>);

impl Policy {
    pub fn new(access: &AccessRules) -> Self {
        Self(access.rules.clone())
    }

    pub fn admit(&self, caller: &Caller<'_>) -> Result<Permit, Refusal> {
        if self.0.iter().any(|rule| holds(rule, caller)) {
            return Ok(Permit(()));
        }
        let asks = |rule: &Rule| rule.any_user || rule.users.is_some() || rule.tokens.is_some();
        if !caller.has_credentials() && self.0.iter().any(asks) {
            return Err(Refusal::NoCredentials);
        }
        Err(Refusal::NotPermitted)
    }
}

fn holds(rule: &Rule, caller: &Caller<'_>) -> bool {
    let user = match &caller.identity {
        Identity::User(name) => Some(name.as_slice()),
        Identity::Nobody | Identity::Token(_) => None,
    };
    let token = match &caller.identity {
        Identity::Token(name) => Some(name),
        Identity::Nobody | Identity::User(_) => None,
    };
    let listed = |names: &Option<Vec<String>>, found: Option<&[u8]>| {
        names.as_ref().is_none_or(|names| {
            found.is_some_and(|found| names.iter().any(|name| name.as_bytes() == found))
        })
    };
    (!rule.any_user || user.is_some())
        && listed(&rule.users, user)
        && listed(&rule.tokens, token.map(String::as_bytes))
        && rule.client_names.as_ref().is_none_or(|wanted| {
            caller.names.is_some_and(|names| wanted.iter().any(|name| names.has(name)))
        })
        && rule
            .networks
            .as_ref()
            .is_none_or(|networks| networks.iter().any(|network| network.contains(caller.address)))
}

/// In words, for `check --explain`.
pub fn explain(access: &AccessRules) -> String {
    let rules: Vec<String> = access.rules.iter().map(explain_rule).collect();
    rules.join(", or ")
}

fn explain_rule(rule: &Rule) -> String {
    let mut parts = Vec::new();
    if rule.any_user {
        parts.push("any user".to_owned());
    }
    let lists =
        [("user", &rule.users), ("token", &rule.tokens), ("certificate", &rule.client_names)];
    for (kind, names) in lists {
        if let Some(names) = names {
            parts.push(format!("{kind} {}", names.join(" or ")));
        }
    }
    if let Some(networks) = &rule.networks {
        let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
        parts.push(format!("from {}", networks.join(" or ")));
    }
    if parts.is_empty() {
        "everybody with a client certificate".to_owned()
    } else {
        parts.join(" ")
    }
}
