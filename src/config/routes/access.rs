//! `access` of a route: a request is authorized if it meets every condition of at least one rule.

use std::collections::HashSet;

use super::entry::{EntryKind, RouteEntry};
use crate::config::files::Secret;
use crate::config::keys::route::{
    ACCESS, ANY_CLIENT, ANY_USER, CLIENT_NAMES, NETWORKS, RULE_TOKENS, RULES, USERS,
};
use crate::config::keys::{Key, Section, TextList, Value};
use crate::config::per_listener::PerListener;
use crate::config::sections::Network;
use crate::config::tls_names::ClientAuth;

/// The rules of access to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessRules {
    /// The exporter-toolkit's rule: a user of `basic_auth_users`, or everybody when there are none.
    Toolkit,
    /// A request is authorized if it meets every condition of at least one rule.
    Rules(Vec<Rule>),
}

/// A rule, every condition of which must hold; `None` and `false` are no conditions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Everybody who gets through a listener that demands certificates.
    pub any_client: bool,
    /// Any user of `basic_auth_users`.
    pub any_user: bool,
    /// One of these users.
    pub users: Option<Vec<String>>,
    /// One of the tokens of these names.
    pub tokens: Option<Vec<String>>,
    /// One of these names in a verified client certificate: a SAN, or `cn:` and the common name.
    pub client_names: Option<Vec<String>>,
    /// A client in one of these networks.
    pub networks: Option<Vec<Network>>,
    /// The conditions that the file has, be they empty.
    pub declared: DeclaredConditions,
}

/// The conditions that the file has in a rule, be they empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeclaredConditions {
    /// True if `any_user` is there.
    pub any_user: bool,
    /// True if `client_names` is there.
    pub client_names: bool,
    /// True if `networks` is there.
    pub networks: bool,
}

/// The users, tokens and client certificates that rules may refer to.
pub struct References<'a> {
    /// The names of the users of the file.
    pub users: HashSet<&'a str>,
    /// The names of the tokens of the file.
    pub tokens: HashSet<&'a str>,
    /// The treatment of client certificates by each listener.
    pub client_auth: &'a PerListener<ClientAuth>,
    /// The CAs of each listener that verifies client certificates; within, `None`: the system's.
    pub client_cas: &'a PerListener<Option<Option<Secret>>>,
}

/// The references of a route, which is reached through some listeners.
struct RouteReferences<'a> {
    all: &'a References<'a>,
    /// True if a listener verifies the client certificates that it gets.
    verifies_clients: bool,
    /// True if every listener demands such a certificate.
    demands_clients: bool,
    /// True if all listeners that verify certificates do so by the same CAs.
    has_one_ca: bool,
}

impl<'a> References<'a> {
    /// Returns what holds for a route that is reached through these listeners; none named: all.
    fn through(&'a self, listeners: &[String]) -> RouteReferences<'a> {
        let client_auth: Vec<ClientAuth> = match listeners {
            [] => self.client_auth.iter().copied().collect(),
            some => some.iter().map(|listener| *self.client_auth.of(listener)).collect(),
        };
        let client_cas: Vec<&Option<Secret>> = match listeners {
            [] => self.client_cas.iter().flatten().collect(),
            some => some.iter().filter_map(|one| self.client_cas.of(one).as_ref()).collect(),
        };
        RouteReferences {
            all: self,
            verifies_clients: client_auth.iter().any(|auth| auth.verifies()),
            demands_clients: client_auth.iter().all(|auth| *auth == ClientAuth::RequireAndVerify),
            has_one_ca: client_cas.windows(2).all(|two| two[0] == two[1]),
        }
    }
}

impl AccessRules {
    /// Reads the rules of an entry that is reached through these listeners.
    pub(super) fn read(
        entry: &RouteEntry<'_>,
        listeners: &[String],
        references: &References<'_>,
    ) -> Self {
        let references = references.through(listeners);
        let Some(value) = entry.section.find(&ACCESS) else {
            return match entry.kind {
                EntryKind::Default => Self::Toolkit,
                EntryKind::Listed | EntryKind::FileSd => {
                    Self::Rules(vec![references.default_rule(entry.section)])
                }
            };
        };
        let Some(items) = entry.section.get(&ACCESS) else { return Self::Rules(Vec::new()) };
        if items.is_empty() {
            value.error("no rule, so that nobody may use the route");
        }
        Self::Rules(items.into_iter().map(|item| Rule::read(item, &references)).collect())
    }

    /// Returns the rules; none where the exporter-toolkit's way holds.
    pub fn rules(&self) -> &[Rule] {
        match self {
            Self::Toolkit => &[],
            Self::Rules(rules) => rules,
        }
    }
}

impl RouteReferences<'_> {
    /// Returns the rule of a route that has none: every user, or everybody whose certificate was
    /// demanded in the handshake.
    fn default_rule(&self, route: &Section<'_>) -> Rule {
        let has_users = !self.all.users.is_empty();
        if !has_users && !self.demands_clients {
            route.error(
                &ACCESS,
                "missing, and the file has neither basic_auth_users nor client_auth_type: \
                 RequireAndVerifyClientCert; say who may use the route",
            );
        }
        Rule { any_user: has_users, ..Rule::default() }
    }
}

impl Rule {
    fn read(item: Value<'_>, references: &RouteReferences<'_>) -> Self {
        let section = Section::open(item, &RULES);
        let names = |key| texts(&section, key);
        let networks = section.get(&NETWORKS).map(|texts| Network::read_all(&texts));
        let rule = Self {
            any_client: section.get(&ANY_CLIENT).unwrap_or_default(),
            any_user: section.get(&ANY_USER).unwrap_or_default(),
            users: names(&USERS),
            tokens: names(&RULE_TOKENS),
            client_names: names(&CLIENT_NAMES).filter(|names| !names.is_empty()),
            networks: networks.filter(|networks| !networks.is_empty()),
            declared: DeclaredConditions {
                any_user: section.has(&ANY_USER),
                client_names: section.has(&CLIENT_NAMES),
                networks: section.has(&NETWORKS),
            },
        };
        rule.check_references(&section, references);
        rule.check_conditions(&section);
        rule
    }

    /// Finds references to what the file does not have.
    fn check_references(&self, section: &Section<'_>, references: &RouteReferences<'_>) {
        if self.any_user && references.all.users.is_empty() {
            section.error(&ANY_USER, "basic_auth_users has none");
        }
        if self.any_client && !references.demands_clients {
            section.error(
                &ANY_CLIENT,
                "not every listener of the route demands a certificate; set client_auth_type: \
                 RequireAndVerifyClientCert",
            );
        }
        for (key, known, message) in [
            (&USERS, &references.all.users, "no such user in basic_auth_users"),
            (&RULE_TOKENS, &references.all.tokens, "no such token in proxy.tokens"),
        ] {
            let names = section.get(key).unwrap_or_default();
            for name in names.iter().filter(|name| !known.contains(name.as_str())) {
                name.error(message);
            }
        }
        if self.declared.client_names && !references.verifies_clients {
            section.value().named(&section.name_of(&CLIENT_NAMES)).error(
                "client certificates are not verified; set client_auth_type to \
                 VerifyClientCertIfGiven or RequireAndVerifyClientCert",
            );
        }
        // The CA of any listener could sign the names that are meant for another one's.
        if self.declared.client_names && !references.has_one_ca {
            section.value().named(&section.name_of(&CLIENT_NAMES)).error(
                "the listeners of the route verify certificates by different CAs, each of which can \
                 sign these names; limit the route to listeners with one CA (`listeners` of an item of \
                 proxy.routes), or give all the same client_ca_file",
            );
        }
    }

    /// Finds a rule that everybody meets, and one that nobody can meet.
    fn check_conditions(&self, section: &Section<'_>) {
        let credentials = [self.any_user, self.users.is_some(), self.tokens.is_some()];
        let others = [self.any_client, self.client_names.is_some(), self.networks.is_some()];
        match credentials.iter().filter(|asked| **asked).count() {
            0 if !others.contains(&true) => {
                section.value().error("a rule that asks for nothing admits everybody");
            }
            0 | 1 => {}
            _ => section.value().error(
                "a request has one Authorization header: write a rule for users and one for tokens",
            ),
        }
    }
}

fn texts(section: &Section<'_>, key: &Key<TextList>) -> Option<Vec<String>> {
    let texts = section.get(key)?;
    Some(texts.iter().map(|text| text.as_str().to_owned()).collect())
}
