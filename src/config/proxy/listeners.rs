//! `proxy.listeners`: listeners with a TLS of their own.

use super::{Others, certificates};
use crate::config::findings::Problems;
use crate::config::node::{Kind, Node};
use crate::config::sources::ConfigFiles;
use crate::config::tls::{Outcome, TlsConfig};

const PLACE: &str = "proxy.listeners";
const KEYS: [&str; 3] = ["listen_address", "tls_server_config", "certificates"];

/// What the command line calls each, and what it has in the place of the file's.
pub fn validate(
    node: &Node,
    others: &Others<'_>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Vec<(String, Outcome)> {
    let Kind::Sequence(items) = &node.kind else {
        problems.error(node, format!("{PLACE}: expected a list of listeners"));
        return Vec::new();
    };
    let mut listeners: Vec<(String, Outcome)> = Vec::new();
    for item in items {
        let Some((name, tls)) = listener(item, others, sources, problems) else { continue };
        if listeners.iter().any(|(other, _)| *other == name) {
            problems
                .error(item, format!("{PLACE}: {name:?} is there twice; remove one of the two"));
        }
        listeners.push((name, tls));
    }
    listeners
}

fn listener(
    node: &Node,
    others: &Others<'_>,
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Option<(String, Outcome)> {
    let section = node.section(PLACE, &KEYS, problems);
    let place = |key: &str| format!("{PLACE}.{key}");
    let address = section.get("listen_address");
    let name = address.and_then(|node| node.string(&place("listen_address"), problems));
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        let message = "listen_address: missing; write it as --web.listen-address has it";
        problems.error(node, format!("{PLACE}.{message}"));
        return None;
    };
    let tls_node = section.get("tls_server_config");
    if tls_node.is_none() {
        let message = "missing; without TLS write `tls_server_config: {}`";
        problems.error(node, format!("{}: {message}", place("tls_server_config")));
    }
    let tls =
        TlsConfig::validate(tls_node, &place("tls_server_config"), others.http2, sources, problems);
    if tls.is_off() && tls_node.is_some_and(|node| !node.is_empty_map()) {
        let message = "nothing in it turns TLS on; name cert_file and key_file, or write \
                       `tls_server_config: {}`";
        problems.error(node, format!("{}: {message}", place("tls_server_config")));
    }
    let is_remote = !name.starts_with("unix:");
    if tls_node.is_some() && tls.is_off() && is_remote && !others.users.is_empty() {
        let message = "without TLS, passwords cross the network in clear";
        problems.warning(node, format!("{}: {message}", place("tls_server_config")));
    }
    let more = section.get("certificates");
    let more = certificates::validate(more, &tls, &place("certificates"), sources, problems);
    Some((name.to_owned(), tls.with_certificates(more)))
}
