//! What a reload may not take from the TLS of a listener.

use crate::config::{ClientCertificate, Config, Tls};

const HALF: &str = "refused, since a half-written file looks like this; to mean it, write";

/// One listener, or all that have nothing of their own (`None`), before and after.
struct Change<'a> {
    listener: Option<&'a str>,
    old: Option<&'a Tls>,
    new: Option<&'a Tls>,
    /// Whether what there is now was written for this very listener.
    is_own: bool,
}

fn changes<'a>(old: &'a Config, new: &'a Config) -> Vec<Change<'a>> {
    let mut names: Vec<&str> = old.tls.names().chain(new.tls.names()).collect();
    names.sort_unstable();
    names.dedup();
    let all = Change {
        listener: None,
        old: old.tls.all.as_ref(),
        new: new.tls.all.as_ref(),
        is_own: true,
    };
    let own = names.into_iter().map(|name| Change {
        listener: Some(name),
        old: old.tls.of(name).as_ref(),
        new: new.tls.of(name).as_ref(),
        is_own: new.tls.own_of(name).is_some(),
    });
    std::iter::once(all).chain(own).collect()
}

fn demanded(tls: Option<&Tls>) -> ClientCertificate {
    tls.map_or(ClientCertificate::Optional, |tls| tls.client_auth.certificate())
}

fn names(tls: Option<&Tls>) -> bool {
    tls.is_some_and(|tls| !tls.allowed_sans.is_empty())
}

/// Whether every client has to show a certificate that is verified, and some had not before.
pub fn certificates_gained(old: &Config, new: &Config) -> bool {
    let changes = changes(old, new);
    changes.iter().all(|change| demanded(change.new) == ClientCertificate::Verified)
        && changes.iter().any(|change| demanded(change.new) > demanded(change.old))
}

pub fn lost(old: &Config, new: &Config) -> Vec<String> {
    changes(old, new).iter().flat_map(|change| of_listener(change, old, new)).collect()
}

fn of_listener(change: &Change<'_>, old: &Config, new: &Config) -> Vec<String> {
    let place = match change.listener {
        Some(name) => format!("proxy.listeners, {name}: "),
        None => String::new(),
    };
    let (asked, asks) = (demanded(change.old), demanded(change.new));
    let declared = change.new.filter(|_| change.is_own).map(|tls| tls.declared);
    let users_gained = old.users.is_empty() && !new.users.is_empty();
    let mut lost = Vec::new();
    let tls_lost = change.old.is_some() && change.new.is_none();
    // A listener has nothing of its own but what somebody has written.
    let is_said = match change.listener {
        Some(_) => change.is_own,
        None => new.declared.tls_explicitly_off,
    };
    if tls_lost && !is_said {
        lost.push(format!("{place}this would turn TLS off: {HALF} `tls_server_config: {{}}`"));
    }
    if !tls_lost
        && asks < asked
        && !users_gained
        && !declared.is_some_and(|declared| declared.client_auth_type)
    {
        lost.push(format!(
            "{place}this would ask for weaker client certificates: {HALF} `client_auth_type: \
             NoClientCert`"
        ));
    }
    if names(change.old)
        && !names(change.new)
        && asks > ClientCertificate::Optional
        && !declared.is_some_and(|declared| declared.client_allowed_sans)
    {
        lost.push(format!(
            "{place}this would admit client certificates of any name: {HALF} \
             `client_allowed_sans: []`"
        ));
    }
    lost
}
