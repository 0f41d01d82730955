//! The inventory of a snapshot, for the metrics and the status page. Whatever is not named here makes
//! no series.

use std::collections::HashSet;

use super::Snapshot;
use crate::config::routes::Rule;
use crate::observe::metrics::{CallerKind, Certificate, Inventory, RevocationEntry, UpstreamEntry};

impl Snapshot {
    /// Lists the names of this configuration, which is in force for these listeners.
    pub fn inventory(&self, listeners: &[String]) -> Inventory {
        let routes = self.routes.all().map(|route| route.name().to_owned()).collect();
        let upstreams = self.routes.all().flat_map(|route| {
            route.replicas.endpoints().map(|endpoint| UpstreamEntry {
                route: route.name().to_owned(),
                upstream: endpoint.to_string(),
                health: endpoint.health().clone(),
            })
        });
        Inventory {
            generation: self.generation,
            hash: self.hash.clone(),
            open_listeners: listeners.iter().filter(|name| self.config.is_open(name)).count(),
            certificates: self.certificates.clone(),
            target_files: self.target_files.clone(),
            revocation_lists: self.revocation_lists.clone(),
            upstreams: unique(upstreams, |entry| (entry.route.clone(), entry.upstream.clone())),
            routes,
            callers: self.callers(),
        }
    }

    /// Lists the users, the tokens, and the certificate names of access rules and of
    /// `client_allowed_sans`.
    fn callers(&self) -> Vec<(CallerKind, String)> {
        let config = &self.config;
        let users = config.users.iter().map(|user| (CallerKind::User, &user.name));
        let tokens = config.proxy.tokens.iter().map(|token| (CallerKind::Token, &token.name));
        let rules = config.proxy.routes.iter().flat_map(|route| route.policy.access.rules());
        let in_rules = rules.filter_map(|rule: &Rule| rule.client_names.as_ref()).flatten();
        let in_handshakes = config.tls.iter().flatten().flat_map(|tls| &tls.allowed_sans);
        let certificates =
            in_rules.chain(in_handshakes).map(|name| (CallerKind::Certificate, name));
        let all = users.chain(tokens).chain(certificates);
        all.map(|(kind, name)| (kind, name.clone())).collect()
    }
}

/// Keeps one certificate of each use, subject and serial number, the one that ends first: two series
/// with the same labels would make the whole page invalid.
pub fn unique_certificates(all: impl Iterator<Item = Certificate>) -> Vec<Certificate> {
    let mut all: Vec<Certificate> = all.collect();
    all.sort_by_key(|certificate| certificate.not_after);
    let key = |certificate: &Certificate| {
        (certificate.usage, certificate.subject.clone(), certificate.serial.clone())
    };
    let mut unique = unique(all.into_iter(), key);
    unique.sort();
    unique
}

/// Keeps one revocation list of each use and issuer, the one that ends first.
pub fn unique_lists(all: impl Iterator<Item = RevocationEntry>) -> Vec<RevocationEntry> {
    let mut all: Vec<RevocationEntry> = all.collect();
    all.sort_by_key(|list| list.next_update);
    let mut unique = unique(all.into_iter(), |list| (list.usage, list.issuer.clone()));
    unique.sort();
    unique
}

fn unique<T, K: Eq + std::hash::Hash>(
    all: impl Iterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut seen = HashSet::new();
    all.filter(|item| seen.insert(key(item))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::metrics::CertificateUse;

    #[test]
    fn certificates_with_the_same_labels_are_one_series_of_the_first_end() {
        let certificate = |usage, serial: &str, not_after| Certificate {
            usage,
            subject: "CN=a".to_owned(),
            serial: serial.to_owned(),
            not_before: 0,
            not_after,
        };
        let server = |serial, end| certificate(CertificateUse::Server, serial, end);
        let ca = certificate(CertificateUse::ClientCa, "1", 9);
        let all = [server("1", 5), server("1", 3), server("2", 7), ca.clone(), ca.clone()];
        let expected = vec![server("1", 3), server("2", 7), ca];
        assert_eq!(unique_certificates(all.into_iter()), expected);
    }
}
