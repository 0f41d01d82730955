//! `upstream_tls` of a route: files for upstreams with `https`.

use std::net::IpAddr;

use super::policy::{Entry, EntryKind};
use crate::config::findings::Problems;
use crate::config::proxy::files::Files;
use crate::config::sources::ConfigFiles;
use crate::config::{PemMaterial, Upstream};

const KEYS: [&str; 4] = ["ca_file", "server_name", "cert_file", "key_file"];

/// Read, not yet parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamTls {
    pub ca: PemMaterial,
    /// What the exporter's certificate must say; `None`: the host of its address.
    pub server_name: Option<String>,
    /// SniCertificate and key of the guard, for exporters that ask for them.
    pub client: Option<(PemMaterial, PemMaterial)>,
}

pub fn validate(
    entry: &Entry<'_>,
    upstreams: &[Upstream],
    sources: &mut ConfigFiles,
    problems: &mut Problems,
) -> Option<UpstreamTls> {
    let hosts: Vec<&str> = upstreams
        .iter()
        .filter_map(|upstream| match upstream {
            Upstream::Https { host, .. } => Some(host.as_str()),
            _ => None,
        })
        .collect();
    let place = entry.at("upstream_tls");
    let place = place.as_str();
    let Some(node) = entry.section.get("upstream_tls") else {
        if !hosts.is_empty() {
            problems.error(
                entry.node,
                format!("{place}: missing; https upstreams need a ca_file, the system's CAs are not trusted"),
            );
        }
        return None;
    };
    if hosts.is_empty() && entry.kind != EntryKind::FileSd {
        problems.error(node, format!("{place}: none of the upstreams is https"));
    }
    let section = node.section(place, &KEYS, problems);
    let server_name = section
        .get("server_name")
        .and_then(|node| node.string(&format!("{place}.server_name"), problems))
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
    if server_name.is_none() && hosts.iter().any(|host| host.parse::<IpAddr>().is_ok()) {
        problems.error(
            node,
            format!(
                "{place}.server_name: missing; certificates of addresses are not checked, name one"
            ),
        );
    }
    let mut files = Files { section: &section, place, sources, problems };
    let ca = files.read("ca_file");
    let (cert, key) = (files.read("cert_file"), files.read("key_file"));
    if section.get("ca_file").is_none() {
        problems.error(node, format!("{place}.ca_file: missing; name the CA of the exporter"));
    }
    if section.get("cert_file").is_some() != section.get("key_file").is_some() {
        problems.error(node, format!("{place}: cert_file and key_file belong together"));
    }
    Some(UpstreamTls { ca: ca?, server_name, client: cert.zip(key) })
}
