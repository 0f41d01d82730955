//! Finds the protections that a reload would remove from the TLS of a listener.

use super::HALF_WRITTEN;
use crate::config::{ClientAuth, ClientCertificate, Config, TlsConfig};

/// The TLS of a listener before and after a reload.
struct ListenerChange<'a> {
    /// `None`: all listeners without settings of their own.
    listener: Option<&'a str>,
    old: Option<&'a TlsConfig>,
    new: Option<&'a TlsConfig>,
    /// True if the new settings were written for this very listener.
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

fn required_level(tls: Option<&TlsConfig>) -> ClientCertificate {
    tls.map_or(ClientCertificate::Optional, |tls| tls.client_auth.required_level())
}

fn restricts_names(tls: &TlsConfig) -> bool {
    !tls.allowed_sans.is_empty()
}

/// Returns whether every listener requires a verified client certificate, and none required one
/// before. A cut removes the settings of one listener, but cannot add this requirement to all of
/// them.
pub fn certificates_gained(old: &Config, new: &Config) -> bool {
    let gained = |change: &ListenerChange<'_>| {
        required_level(change.new) == ClientCertificate::Verified
            && required_level(change.old) < ClientCertificate::Verified
    };
    changes(old, new).iter().all(gained)
}

/// Describes the protections of listeners that `new` removes.
pub fn find(old: &Config, new: &Config) -> Vec<String> {
    changes(old, new).iter().flat_map(|change| removed_protections(change, old, new)).collect()
}

fn removed_protections(change: &ListenerChange<'_>, old: &Config, new: &Config) -> Vec<String> {
    let prefix = match change.listener {
        Some(name) => format!("proxy.listeners, {name}: "),
        None => String::new(),
    };
    // A listener's own settings exist only if the file has them, so that they are always declared.
    let is_declared_off = match change.listener {
        Some(_) => change.is_own,
        None => new.declared.tls_explicitly_off,
    };
    let (Some(old_tls), Some(tls)) = (change.old, change.new) else {
        let is_removed = change.old.is_some() && !is_declared_off;
        let message =
            || format!("{prefix}this would turn TLS off: {HALF_WRITTEN} `tls_server_config: {{}}`");
        return is_removed.then(message).into_iter().collect();
    };
    let is_level_lower = required_level(change.new) < required_level(change.old);
    let is_declared = |key| change.is_own && tls.declared.contains(&key);
    let users_gained = old.users.is_empty() && !new.users.is_empty();
    let still_requests = tls.client_auth != ClientAuth::None;
    let verifies = tls.client_auth.verifies();
    let is_gone = |key| old_tls.declared.contains(&key) && !is_declared(key);
    let is_ca_removed = old_tls.client_ca.is_some() && tls.client_ca.is_none() && verifies;
    [
        (
            is_level_lower && !users_gained && !is_declared("client_auth_type"),
            "ask for weaker client certificates",
            "client_auth_type: NoClientCert",
        ),
        (
            restricts_names(old_tls)
                && !restricts_names(tls)
                && still_requests
                && !is_declared("client_allowed_sans"),
            "admit client certificates of any name",
            "client_allowed_sans: []",
        ),
        (
            is_ca_removed && !is_declared("client_ca_file") && !is_declared("client_ca"),
            "trust every CA of the system's for client certificates",
            "client_ca_file: ''",
        ),
        (
            !old_tls.client_crls.is_empty()
                && tls.client_crls.is_empty()
                && verifies
                && !is_declared("client_crl_file")
                && !is_declared("client_crl"),
            "admit client certificates that were revoked",
            "client_crl_file: []",
        ),
        (
            is_gone("min_version") && tls.min_version < old_tls.min_version,
            "admit older versions of TLS",
            "min_version: TLS12",
        ),
        (
            is_gone("cipher_suites") && old_tls.cipher_suites != tls.cipher_suites,
            "offer the default cipher suites",
            "cipher_suites: []",
        ),
        (
            is_gone("curve_preferences") && old_tls.curves != tls.curves,
            "offer the default groups",
            "curve_preferences: []",
        ),
    ]
    .into_iter()
    .filter(|(is_removed, ..)| *is_removed)
    .map(|(_, effect, remedy)| format!("{prefix}this would {effect}: {HALF_WRITTEN} `{remedy}`"))
    .collect()
}
