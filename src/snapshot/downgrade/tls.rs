//! What a reload may not take from the TLS of a listener.

use crate::config::{ClientAuth, ClientCertificate, Config, TlsConfig};

const HALF: &str = "refused, since a half-written file looks like this; to mean it, write";

/// One listener, or all that have nothing of their own (`None`), before and after.
struct ListenerChange<'a> {
    listener: Option<&'a str>,
    old: Option<&'a TlsConfig>,
    new: Option<&'a TlsConfig>,
    /// Whether what there is now was written for this very listener.
    is_own: bool,
}

fn changes<'a>(old: &'a Config, new: &'a Config) -> Vec<ListenerChange<'a>> {
    let mut names: Vec<&str> = old.tls.names().chain(new.tls.names()).collect();
    names.sort_unstable();
    names.dedup();
    let all = ListenerChange {
        listener: None,
        old: old.tls.all.as_ref(),
        new: new.tls.all.as_ref(),
        is_own: true,
    };
    let own = names.into_iter().map(|name| ListenerChange {
        listener: Some(name),
        old: old.tls.of(name).as_ref(),
        new: new.tls.of(name).as_ref(),
        is_own: new.tls.own_of(name).is_some(),
    });
    std::iter::once(all).chain(own).collect()
}

fn demanded(tls: Option<&TlsConfig>) -> ClientCertificate {
    tls.map_or(ClientCertificate::Optional, |tls| tls.client_auth.required_level())
}

fn names(tls: &TlsConfig) -> bool {
    !tls.allowed_sans.is_empty()
}

/// Whether every client has to show a certificate that is verified, and none had to before. A cut
/// takes away what one listener has of its own, but cannot do this for all of them.
pub fn certificates_gained(old: &Config, new: &Config) -> bool {
    let gained = |change: &ListenerChange<'_>| {
        demanded(change.new) == ClientCertificate::Verified
            && demanded(change.old) < ClientCertificate::Verified
    };
    changes(old, new).iter().all(gained)
}

pub fn find(old: &Config, new: &Config) -> Vec<String> {
    changes(old, new).iter().flat_map(|change| of_listener(change, old, new)).collect()
}

fn of_listener(change: &ListenerChange<'_>, old: &Config, new: &Config) -> Vec<String> {
    let place = match change.listener {
        Some(name) => format!("proxy.listeners, {name}: "),
        None => String::new(),
    };
    let (asked, asks) = (demanded(change.old), demanded(change.new));
    // A listener has nothing of its own but what somebody has written.
    let is_said = match change.listener {
        Some(_) => change.is_own,
        None => new.declared.tls_explicitly_off,
    };
    let (Some(before), Some(tls)) = (change.old, change.new) else {
        let is_lost = change.old.is_some() && !is_said;
        let message =
            || format!("{place}this would turn TLS off: {HALF} `tls_server_config: {{}}`");
        return is_lost.then(message).into_iter().collect();
    };
    let is_declared = |key| change.is_own && tls.declared.contains(&key);
    let users_gained = old.users.is_empty() && !new.users.is_empty();
    let still_asks = tls.client_auth != ClientAuth::None;
    let verifies = tls.client_auth.verifies();
    let ca_lost = before.client_ca.is_some() && tls.client_ca.is_none() && verifies;
    [
        (
            asks < asked && !users_gained && !is_declared("client_auth_type"),
            "ask for weaker client certificates",
            "client_auth_type: NoClientCert",
        ),
        (
            names(before) && !names(tls) && still_asks && !is_declared("client_allowed_sans"),
            "admit client certificates of any name",
            "client_allowed_sans: []",
        ),
        (
            ca_lost && !is_declared("client_ca_file") && !is_declared("client_ca"),
            "trust every CA of the system's for client certificates",
            "client_ca_file: ''",
        ),
    ]
    .into_iter()
    .filter(|(is_lost, ..)| *is_lost)
    .map(|(_, what, word)| format!("{place}this would {what}: {HALF} `{word}`"))
    .collect()
}
