//! What a reload may not take away silently.
//!
//! A prefix of a web configuration is often a valid file with no users, and an empty file is one
//! with neither users nor TLS: a half-written file must not open the door. (A node_exporter 1.5
//! whose file was rewritten in place 821 times served 569 requests without credentials.)

use crate::config::{Config, Finding, Severity};
use crate::load::Loaded;

/// Refuse what would drop authentication or TLS altogether, unless the file says so with an
/// explicit empty section.
pub fn keeps_protection(old: &Config, new: &Loaded) -> Result<(), Vec<Finding>> {
    let config = &new.config;
    let mut lost = Vec::new();
    if old.authenticates() && !config.authenticates() && !config.declared.users_explicitly_none {
        lost.push(
            "this would turn authentication off: refused, since a half-written file looks like \
             this; to mean it, write `basic_auth_users: {}`",
        );
    }
    if old.tls.is_some() && config.tls.is_none() && !config.declared.tls_explicitly_off {
        lost.push(
            "this would turn TLS off: refused, since a half-written file looks like this; to mean \
             it, write `tls_server_config: {}`",
        );
    }
    if lost.is_empty() {
        return Ok(());
    }
    Err(lost
        .into_iter()
        .map(|message| Finding {
            file: new.sources.web_config().to_owned(),
            line: None,
            severity: Severity::Error,
            message: message.to_owned(),
        })
        .collect())
}
