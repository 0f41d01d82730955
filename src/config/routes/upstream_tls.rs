//! `upstream_tls` of a route: the files for upstreams with `https`.

use std::net::IpAddr;

use super::entry::{EntryKind, RouteEntry};
use crate::config::addresses::Upstream;
use crate::config::keys::route::{
    CA_FILE, SERVER_NAME, UPSTREAM_CERT_FILE, UPSTREAM_CRL_FILE, UPSTREAM_KEY_FILE, UPSTREAM_TLS,
};
use crate::config::keys::{Key, Section, Text};
use crate::config::sections::PemMaterial;

/// The TLS towards exporters: PEM text that is read, and not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    /// The CAs that the exporter's certificate is verified against.
    pub ca: PemMaterial,
    /// The revocation lists of the CAs; none: no check.
    pub crls: Vec<PemMaterial>,
    /// True if the file has `crl_file`, be it empty.
    pub declares_crls: bool,
    /// The name that the exporter's certificate must have; `None`: the host of its address.
    pub server_name: Option<String>,
    /// The certificate and key of the guard, for exporters that ask for one.
    pub client: Option<(PemMaterial, PemMaterial)>,
}

impl UpstreamTls {
    /// Reads the section, which upstreams with `https` need, and no others may have.
    pub fn read(entry: &RouteEntry<'_>, upstreams: &[Upstream]) -> Option<Self> {
        let hosts: Vec<&str> = upstreams.iter().filter_map(tls_host).collect();
        let Some(section) = entry.section.get(&UPSTREAM_TLS) else {
            if !hosts.is_empty() {
                let message =
                    "missing; https upstreams need a ca_file, the system's CAs are not trusted";
                entry.section.error(&UPSTREAM_TLS, message);
            }
            return None;
        };
        if hosts.is_empty() && entry.kind != EntryKind::FileSd {
            section.value().error("none of the upstreams is https");
        }
        let server_name = section.get(&SERVER_NAME).map(|name| name.as_str().to_owned());
        let server_name = server_name.filter(|name| !name.is_empty());
        if server_name.is_none() && hosts.iter().any(|host| host.parse::<IpAddr>().is_ok()) {
            let value = section.value().named(&section.name_of(&SERVER_NAME));
            value.error("missing; certificates of addresses are not checked, name one");
        }
        let ca = pem(&section, &CA_FILE);
        let (cert, key) = (pem(&section, &UPSTREAM_CERT_FILE), pem(&section, &UPSTREAM_KEY_FILE));
        if !section.has(&CA_FILE) {
            section.error(&CA_FILE, "missing; name the CA of the exporter");
        }
        if section.has(&UPSTREAM_CERT_FILE) != section.has(&UPSTREAM_KEY_FILE) {
            section.value().error("cert_file and key_file belong together");
        }
        let crls = section.get(&UPSTREAM_CRL_FILE).unwrap_or_default();
        let crls: Option<Vec<_>> = crls.iter().map(PemMaterial::from_file).collect();
        Some(Self {
            ca: ca?,
            crls: crls?,
            declares_crls: section.has(&UPSTREAM_CRL_FILE),
            server_name,
            client: cert.zip(key),
        })
    }
}

fn tls_host(upstream: &Upstream) -> Option<&str> {
    match upstream {
        Upstream::Https { host, .. } => Some(host),
        _ => None,
    }
}

fn pem(section: &Section<'_>, key: &Key<Text>) -> Option<PemMaterial> {
    section.get(key).and_then(|name| PemMaterial::from_file(&name))
}
