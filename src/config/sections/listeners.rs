//! `proxy.listeners`: listeners with a TLS of their own.

use std::collections::HashSet;

use super::material::SniCertificate;
use super::tls::TlsSection;
use crate::config::keys::proxy::{LISTENERS, LISTENERS_ADDRESS, LISTENERS_KEY, LISTENERS_TLS};
use crate::config::keys::{Section, Value};

/// The error of a listener without an address.
pub(super) const MISSING_ADDRESS: &str = "missing; write it as --web.listen-address has it";

/// The other sections that the TLS of a listener depends on.
#[derive(Debug, Clone, Copy)]
pub struct OtherSections {
    /// True if `basic_auth_users` has any.
    pub has_users: bool,
    /// True if HTTP/2 is offered.
    pub http2: bool,
}

/// Reads the listeners of the section `proxy`: the name of each, and its TLS.
pub fn read(proxy: &Section<'_>, others: OtherSections) -> Vec<(String, TlsSection)> {
    let mut names = HashSet::new();
    let mut listeners = Vec::new();
    for item in proxy.get(&LISTENERS_KEY).unwrap_or_default() {
        let Some((name, tls)) = listener(item.clone(), others) else { continue };
        if !names.insert(name.clone()) {
            item.error(format!("{name:?} is there twice; remove one of the two"));
        }
        listeners.push((name, tls));
    }
    listeners
}

fn listener(item: Value<'_>, others: OtherSections) -> Option<(String, TlsSection)> {
    let section = Section::open(item, &LISTENERS);
    let name = section.get(&LISTENERS_ADDRESS).filter(|name| !name.as_str().is_empty());
    let Some(name) = name else {
        section.value().named(&section.name_of(&LISTENERS_ADDRESS)).error(MISSING_ADDRESS);
        return None;
    };
    let tls = tls(&section, name.as_str(), others);
    let more = SniCertificate::read_all(&section, tls.is_off());
    Some((name.as_str().to_owned(), tls.with_certificates(more)))
}

fn tls(section: &Section<'_>, listener: &str, others: OtherSections) -> TlsSection {
    let Some(value) = section.find(&LISTENERS_TLS) else {
        section.error(&LISTENERS_TLS, "missing; without TLS write `tls_server_config: {}`");
        return TlsSection::Off;
    };
    let listener_value = section.value().named(value.name());
    let tls = TlsSection::read(value, others.http2);
    if tls.is_off() && !listener.starts_with("unix:") && others.has_users {
        listener_value.warning("without TLS, passwords cross the network in clear");
    }
    tls
}
