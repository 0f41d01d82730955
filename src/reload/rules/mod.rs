//! What a reload may not take away silently, and what fits no listener.
//!
//! A prefix of a web configuration is often a valid file with no users, and an empty file is one
//! with neither users nor TLS: a half-written file must not open the door. (A node_exporter 1.5
//! whose file was rewritten in place 821 times served 569 requests without credentials.)

mod routes;

use crate::config::{ClientCertificate, Config, Finding, Severity};
use crate::load::Loaded;

/// Refuse what would take a protection away, unless the file says so: each by a word of its own,
/// since a file that is cut before one of them may hold another. What is replaced (users by
/// certificates that are verified, certificates by users) is not taken away: no cut adds anything.
pub fn keeps_protection(old: &Config, new: &Loaded) -> Result<(), Vec<Finding>> {
    let config = &new.config;
    let said = config.declared;
    let users_lost = !old.users.is_empty() && config.users.is_empty();
    let users_gained = old.users.is_empty() && !config.users.is_empty();
    let (asked, asks) = (old.client_certificate(), config.client_certificate());
    let certificates_gained = asks > asked && asks == ClientCertificate::Verified;
    let names =
        |config: &Config| config.tls.as_ref().is_some_and(|tls| !tls.allowed_sans.is_empty());
    let mut lost = Vec::new();
    if users_lost && !certificates_gained && !said.users_explicitly_none {
        lost.push(
            "this would turn authentication by password off: refused, since a half-written file \
             looks like this; to mean it, write `basic_auth_users: {}`",
        );
    }
    let tls_lost = old.tls.is_some() && config.tls.is_none();
    if tls_lost && !said.tls_explicitly_off {
        lost.push(
            "this would turn TLS off: refused, since a half-written file looks like this; to mean \
             it, write `tls_server_config: {}`",
        );
    }
    if !tls_lost && asks < asked && !users_gained && !said.client_auth_type {
        lost.push(
            "this would ask for weaker client certificates: refused, since a half-written file \
             looks like this; to mean it, write `client_auth_type: NoClientCert`",
        );
    }
    if names(old)
        && !names(config)
        && asks > ClientCertificate::Optional
        && !said.client_allowed_sans
    {
        lost.push(
            "this would admit client certificates of any name: refused, since a half-written file \
             looks like this; to mean it, write `client_allowed_sans: []`",
        );
    }
    if old.proxy.routes.is_some() != config.proxy.routes.is_some() {
        lost.push(
            "proxy.routes: whether there are any cannot change while the guard runs; restart it, \
             if this is not a half-written file",
        );
    }
    let lost = lost.into_iter().map(str::to_owned);
    refuse(new, lost.chain(routes::lost(old, config)))
}

/// What is said of a listener must be said of one that there is.
pub fn knows_listeners(names: &[String], new: &Loaded) -> Result<(), Vec<Finding>> {
    let unknown = new.config.proxy.proxy_protocol.iter().filter_map(|rule| {
        let name = &rule.listen_address;
        (!names.contains(name)).then(|| {
            format!(
                "proxy.proxy_protocol.listen_address: no listener is called {name:?}; there is {}",
                names.join(", ")
            )
        })
    });
    refuse(new, unknown)
}

fn refuse(new: &Loaded, why: impl Iterator<Item = String>) -> Result<(), Vec<Finding>> {
    let findings: Vec<Finding> = why
        .map(|message| Finding {
            file: new.sources.web_config().to_owned(),
            line: None,
            severity: Severity::Error,
            message,
        })
        .collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}
