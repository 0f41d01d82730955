//! The access rules of a route.

use super::caller::Identity;
use super::{Caller, Permit, Refusal};
use crate::config::routes::{AccessRules, Rule};

/// Authorizes the callers of one route.
#[derive(Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    /// True if the `Authorization` field is not looked at, since no rule needs it.
    ignores_credentials: bool,
}

impl Policy {
    /// Takes the rules of a route. Without any, the exporter-toolkit's way holds: with users in the
    /// file a user of it is authorized, without users everybody is, whatever credentials a request
    /// has.
    pub fn new(access: &AccessRules, has_users: bool) -> Self {
        match access {
            AccessRules::Toolkit => Self {
                rules: vec![Rule { any_user: has_users, ..Rule::default() }],
                ignores_credentials: !has_users,
            },
            AccessRules::Rules(rules) => Self { rules: rules.clone(), ignores_credentials: false },
        }
    }

    /// Returns whether the `Authorization` field of a request is not looked at.
    pub fn ignores_credentials(&self) -> bool {
        self.ignores_credentials
    }

    /// Authorizes a request that meets every condition of at least one rule.
    ///
    /// # Errors
    ///
    /// Returns [`Refusal::NoCredentials`] when credentials could help, else
    /// [`Refusal::NotPermitted`].
    pub fn authorize(&self, caller: &Caller<'_>) -> Result<Permit, Refusal> {
        if self.rules.iter().any(|rule| is_met(rule, caller)) {
            return Ok(Permit(()));
        }
        let asks = |rule: &Rule| rule.any_user || rule.users.is_some() || rule.tokens.is_some();
        if !caller.has_credentials() && self.rules.iter().any(asks) {
            return Err(Refusal::NoCredentials);
        }
        Err(Refusal::NotPermitted)
    }
}

/// Returns whether the caller meets every condition of the rule.
fn is_met(rule: &Rule, caller: &Caller<'_>) -> bool {
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

/// Describes the rules in words, for `check --explain`.
pub fn explain(access: &AccessRules, has_users: bool) -> String {
    match access {
        AccessRules::Toolkit if has_users => "any user".to_owned(),
        AccessRules::Toolkit => "everybody who gets through the listener".to_owned(),
        AccessRules::Rules(rules) => {
            let rules: Vec<String> = rules.iter().map(explain_rule).collect();
            rules.join(", or ")
        }
    }
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
