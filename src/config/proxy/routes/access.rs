//! `access` of a route: who may use it. Any rule of the list admits; of a rule, everything must
//! hold.

use std::net::SocketAddr;

use ipnet::IpNet;

use super::policy::{Entry, EntryKind};
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node};
use crate::config::proxy::network;
use crate::config::users::User;

const KEYS: [&str; 6] = ["any_client", "any_user", "users", "tokens", "client_names", "networks"];

/// For clients on a unix socket.
const UNIX: &str = "unix";

/// Who may use a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessRules {
    /// As the exporter-toolkit has it: a user of `basic_auth_users`, or everybody when there are none.
    Toolkit,
    /// A request is authorized if it meets every condition of at least one rule.
    Rules(Vec<Rule>),
}

/// Everything in it must hold; what is `None` is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// Whoever gets through a listener that demands certificates.
    pub any_client: bool,
    /// Some user of `basic_auth_users`.
    pub any_user: bool,
    pub users: Option<Vec<String>>,
    /// Their names.
    pub tokens: Option<Vec<String>>,
    /// Of a verified client certificate: one of its SANs, or `cn:` and its common name.
    pub client_names: Option<Vec<String>>,
    pub networks: Option<Vec<Network>>,
    pub declared: DeclaredConditions,
}

/// Which conditions the file has, be they empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeclaredConditions {
    pub any_user: bool,
    pub client_names: bool,
    pub networks: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    Ip(IpNet),
    Unix,
}

/// What rules may refer to.
pub struct Known<'a> {
    pub users: &'a [User],
    pub tokens: &'a [String],
    /// Whether client certificates are verified, if there are any.
    pub verifies_clients: bool,
    /// Whether nobody gets through without such a certificate.
    pub demands_clients: bool,
}

impl Network {
    pub fn contains(&self, address: Option<SocketAddr>) -> bool {
        match (self, address.map(|address| address.ip().to_canonical())) {
            (Self::Ip(network), Some(ip)) => network.contains(&ip),
            (Self::Unix, None) => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ip(network) => network.fmt(f),
            Self::Unix => f.write_str(UNIX),
        }
    }
}

impl AccessRules {
    pub(super) fn validate(entry: &Entry<'_>, known: &Known<'_>, problems: &mut Problems) -> Self {
        let Some((node, place)) = entry.find("access") else {
            return match entry.kind {
                EntryKind::Default => Self::Toolkit,
                EntryKind::Listed | EntryKind::FileSd => {
                    let place = entry.at("access");
                    Self::Rules(vec![default_rule(entry.node, &place, known, problems)])
                }
            };
        };
        let Kind::Sequence(items) = &node.kind else {
            problems.error(node, format!("{place}: expected a list of rules, any of which admits"));
            return Self::Rules(Vec::new());
        };
        if items.is_empty() {
            problems.error(node, format!("{place}: no rule, so that nobody may use the route"));
        }
        Self::Rules(items.iter().map(|item| rule(item, &place, known, problems)).collect())
    }

    /// Returns the rules; none where the exporter-toolkit's way holds.
    pub fn rules(&self) -> &[Rule] {
        match self {
            Self::Toolkit => &[],
            Self::Rules(rules) => rules,
        }
    }
}

/// Every user, or everybody whose certificate was demanded in the handshake.
fn default_rule(route: &Node, place: &str, known: &Known<'_>, problems: &mut Problems) -> Rule {
    if known.users.is_empty() && !known.demands_clients {
        problems.error(
            route,
            format!(
                "{place}: missing, and the file has neither basic_auth_users nor client_auth_type: \
                 RequireAndVerifyClientCert; say who may use the route"
            ),
        );
    }
    Rule { any_user: !known.users.is_empty(), ..Rule::default() }
}

fn rule(node: &Node, place: &str, known: &Known<'_>, problems: &mut Problems) -> Rule {
    let section = node.section(place, &KEYS, problems);
    let list = |key: &str, problems: &mut Problems| {
        section.get(key).map(|node| node.strings(&format!("{place}.{key}"), problems))
    };
    let mut rule = Rule::default();
    let any_user = section.get("any_user");
    rule.declared.any_user = any_user.is_some();
    rule.any_user = any_user
        .and_then(|node| node.boolean(&format!("{place}.any_user"), problems))
        .unwrap_or_default();
    if let Some(node) = any_user.filter(|_| rule.any_user && known.users.is_empty()) {
        problems.error(node, format!("{place}.any_user: basic_auth_users has none"));
    }
    let any_client = section.get("any_client");
    rule.any_client = any_client
        .and_then(|node| node.boolean(&format!("{place}.any_client"), problems))
        .unwrap_or_default();
    if let Some(node) = any_client.filter(|_| rule.any_client && !known.demands_clients) {
        problems.error(
            node,
            format!(
                "{place}.any_client: not every listener of the route demands a certificate; set \
                 client_auth_type: RequireAndVerifyClientCert"
            ),
        );
    }
    rule.users = list("users", problems).map(|items| {
        names(
            items,
            |name| known.users.iter().any(|user| user.name == name),
            |item| {
                problems.error(item, format!("{place}.users: no such user in basic_auth_users"));
            },
        )
    });
    rule.tokens = list("tokens", problems).map(|items| {
        names(
            items,
            |name| known.tokens.iter().any(|token| token == name),
            |item| {
                problems.error(item, format!("{place}.tokens: no such token in proxy.tokens"));
            },
        )
    });
    if let Some(items) = list("client_names", problems) {
        rule.declared.client_names = true;
        if !known.verifies_clients {
            problems.error(
                node,
                format!(
                    "{place}.client_names: client certificates are not verified; set \
                     client_auth_type to VerifyClientCertIfGiven or RequireAndVerifyClientCert"
                ),
            );
        }
        let names: Vec<String> = items.into_iter().map(|(_, name)| name.to_owned()).collect();
        rule.client_names = (!names.is_empty()).then_some(names);
    }
    if let Some(items) = list("networks", problems) {
        rule.declared.networks = true;
        let mut networks = Vec::new();
        for (item, text) in items {
            match network(text) {
                _ if text == UNIX => networks.push(Network::Unix),
                Some(network) => networks.push(Network::Ip(network)),
                None => problems.error(
                    item,
                    format!("{place}.networks: expected an address, a network or unix; a network such as 10.0.0.0/8 has \
                         nothing after its mask"),
                ),
            }
        }
        rule.networks = (!networks.is_empty()).then_some(networks);
    }
    let credentials = [rule.any_user, rule.users.is_some(), rule.tokens.is_some()];
    match credentials.iter().filter(|asked| **asked).count() {
        0 if !rule.any_client && rule.client_names.is_none() && rule.networks.is_none() => {
            problems.error(node, format!("{place}: a rule that asks for nothing admits everybody"));
        }
        0 | 1 => {}
        _ => problems.error(
            node,
            format!(
                "{place}: a request has one Authorization header: write a rule for users and one \
                 for tokens"
            ),
        ),
    }
    rule
}

fn names(
    items: Vec<(&Node, &str)>,
    is_known: impl Fn(&str) -> bool,
    mut unknown: impl FnMut(&Node),
) -> Vec<String> {
    for (item, name) in &items {
        if !is_known(name) {
            unknown(item);
        }
    }
    items.into_iter().map(|(_, name)| name.to_owned()).collect()
}
