//! Refuses a reload that would remove a protection without a declaration in the file, or that has
//! settings for listeners that do not exist.
//!
//! A prefix of a web configuration is often a valid file with no users, and an empty file is one
//! with neither users nor TLS: a half-written file must not turn authentication off. (A
//! node_exporter 1.5 whose file was rewritten in place 821 times served 569 requests without
//! credentials.)

mod limits;
mod routes;
#[cfg(test)]
mod tests;
mod tls;

use std::path::Path;

use super::load::Loaded;
use crate::config::{Config, Finding, Severity};

/// The reason of a refusal, before the words that declare the removal.
const HALF_WRITTEN: &str = "refused, since a half-written file looks like this; to mean it, write";

/// Refuses a configuration that would remove a protection, unless the file declares the removal.
/// Each protection has a declaration of its own, since a file that is cut before one of them may
/// hold another. A protection that is replaced (users by verified client certificates, certificates
/// by users) is not removed: no cut adds anything.
///
/// # Errors
///
/// Returns an error for each protection that would be removed.
pub fn check_protections(old: &Config, new: &Loaded) -> Result<(), Vec<Finding>> {
    // A file of targets fails alone.
    let (targets, others): (Vec<_>, Vec<_>) =
        incomplete_texts(old, &new.config).partition(|path| new.files.is_targets(path));
    let mut findings: Vec<Finding> = targets
        .into_iter()
        .filter(|path| !new.files.is_substituted(path))
        .map(refuse_targets)
        .collect();
    let others = others.into_iter().map(without_end);
    let found = find(old, &new.config).into_iter().chain(others);
    findings.extend(found.map(|message| refusal(new.files.web_config(), message)));
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Describes the protections of `old` that `config` removes.
fn find(old: &Config, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if !old.users.is_empty()
        && config.users.is_empty()
        && !tls::certificates_gained(old, config)
        && !config.declared.users_explicitly_none
    {
        found.push(
            "this would turn authentication by password off: refused, since a half-written file \
             looks like this; to mean it, write `basic_auth_users: {}`",
        );
    }
    if old.proxy.lists_routes() != config.proxy.lists_routes() {
        found.push(
            "proxy.routes: whether there are any cannot change while the guard runs; restart it, \
             if this is not a half-written file",
        );
    }
    let found = found.into_iter().map(str::to_owned);
    found
        .chain(tls::find(old, config))
        .chain(limits::find(old, config))
        .chain(routes::find(old, config))
        .collect()
}

/// Returns the files whose last line had an end and has none any more.
fn incomplete_texts<'a>(old: &'a Config, new: &'a Config) -> impl Iterator<Item = &'a Path> {
    let was_complete = old.texts.iter().filter(|(_, was_complete)| **was_complete);
    let is_incomplete = |path: &Path| new.texts.get(path).is_some_and(|is_complete| !is_complete);
    was_complete.map(|(path, _)| path.as_path()).filter(move |path| is_incomplete(path))
}

fn refuse_targets(path: &Path) -> Finding {
    refusal(path, without_end(path))
}

fn without_end(path: &Path) -> String {
    let path = path.display();
    format!("the last line of {path} has no end: refused, since half a file looks like this")
}

/// Refuses settings for listeners that do not exist.
///
/// # Errors
///
/// Returns an error for each setting with an unknown name.
pub fn check_listeners(names: &[String], new: &Loaded) -> Result<(), Vec<Finding>> {
    let proxy = &new.config.proxy;
    let behind_balancers = proxy.proxy_protocol.iter().map(|rule| rule.listen_address.as_str());
    let own_tls = new.config.tls.names();
    let of_routes = proxy.routes.iter().flat_map(|route| &route.policy.listeners);
    let named = [
        ("proxy_protocol.listen_address", behind_balancers.collect::<Vec<_>>()),
        ("listeners.listen_address", own_tls.collect()),
        ("routes.listeners", of_routes.map(String::as_str).collect()),
    ];
    let unknown = named.into_iter().flat_map(|(key, named)| {
        let unknown = named.into_iter().filter(|name| !names.iter().any(|known| known == name));
        unknown.map(move |name| {
            let known = names.join(", ");
            format!("proxy.{key}: no listener is called {name:?}; there is {known}")
        })
    });
    refuse(new, unknown)
}

/// Turns messages into errors of the web configuration.
fn refuse(new: &Loaded, messages: impl Iterator<Item = String>) -> Result<(), Vec<Finding>> {
    let findings: Vec<Finding> =
        messages.map(|message| refusal(new.files.web_config(), message)).collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// Returns an error of a file as a whole.
fn refusal(file: &Path, message: String) -> Finding {
    Finding { file: file.to_owned(), line: None, severity: Severity::Error, message }
}
