//! Finds the listeners through which everybody is let through to an exporter. A file that is cut, or
//! that was never finished, often says no more than that.

use super::keys::Section;
use super::keys::file::TLS_SERVER_CONFIG;
use super::routes::{AccessRules, RouteConfig, Rule};
use super::tls_names::ClientAuth;
use super::{Config, TlsConfig};

impl Config {
    /// Returns whether a request by this listener can reach an exporter without a password, a token, a
    /// verified client certificate or a network that the file lists. Public paths do not count.
    pub fn is_open(&self, listener: &str) -> bool {
        self.is_open_with(Some(listener), self.tls.of(listener).as_ref())
    }

    /// Returns the same of the listeners that have this TLS; `listener`: one that has its own TLS.
    fn is_open_with(&self, listener: Option<&str>, tls: Option<&TlsConfig>) -> bool {
        if tls.is_some_and(|tls| tls.client_auth == ClientAuth::RequireAndVerify) {
            return false;
        }
        let admits_all = |route: &RouteConfig| match &route.policy.access {
            AccessRules::Toolkit => self.users.is_empty(),
            AccessRules::Rules(rules) => rules.iter().any(asks_for_nothing),
        };
        self.routes_through(listener).any(admits_all)
    }
}

fn asks_for_nothing(rule: &Rule) -> bool {
    !rule.any_user
        && rule.users.is_none()
        && rule.tokens.is_none()
        && rule.client_names.is_none()
        && rule.networks.is_none()
}

/// Adds an error about each plaintext listener that is open and a warning about each one with TLS, unless
/// the file says in words that this is meant.
pub fn check(file: &Section<'_>, config: &Config) {
    let declared = config.declared;
    let own = config.tls.own.iter().map(|(name, tls)| (Some(name.as_str()), tls.as_ref()));
    for (listener, tls) in std::iter::once((None, config.tls.all.as_ref())).chain(own) {
        if !config.is_open_with(listener, tls) {
            continue;
        }
        let prefix = listener.map(|name| format!("listener {name}: ")).unwrap_or_default();
        match tls {
            // A listener's own TLS is always said in words.
            None if declared.users_explicitly_none
                && (listener.is_some() || declared.tls_explicitly_off) => {}
            None => file.value().error(format!(
                "{prefix}without TLS and with nobody asked for anything, everybody could read the \
                 exporter: half a file looks like this. Add basic_auth_users (`exporter-guard \
                 hash-password`) and tls_server_config, or `exporter-guard init` makes both; to mean \
                 it, write `basic_auth_users: {{}}` and `tls_server_config: {{}}`"
            )),
            Some(_) if declared.users_explicitly_none => {}
            Some(tls) => {
                let message = format!(
                    "{prefix}everybody is let through: {}. Add basic_auth_users, or client_auth_type: \
                     RequireAndVerifyClientCert; to mean it, write `basic_auth_users: {{}}`",
                    gap(tls.client_auth)
                );
                file.warning(&TLS_SERVER_CONFIG, message);
            }
        }
    }
}

/// Returns how a client gets by without anything to show.
fn gap(client_auth: ClientAuth) -> &'static str {
    match client_auth {
        ClientAuth::None => "TLS alone asks nobody for anything",
        ClientAuth::Request | ClientAuth::VerifyIfGiven => "a client may leave its certificate out",
        ClientAuth::RequireAny => "anybody can make a certificate that nobody verifies",
        ClientAuth::RequireAndVerify => "",
    }
}
