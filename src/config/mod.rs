//! The web configuration file, parsed and validated: the exporter-toolkit's four sections and our
//! `proxy`. Everything that leaves this module is typed and checked; nothing here knows of
//! sockets, TLS libraries or HTTP engines.
//!
//! [`read`] reads a file, or [`parse`] a text that is not in a file. They report every problem, each
//! with its line. Within, each module uses only those below it:
//!
//! - this one, `proxy` and `open_listeners`: put the sections together, and judge the whole.
//! - `routes`: the routes of `proxy.routes` and `proxy.file_sd_configs`.
//! - `sections`: the other sections.
//! - `keys`: declares each key once; from there come the reading of values, the messages about
//!   unknown keys, [`schema()`] and [`reference()`].
//! - `files`: the files that a configuration is made of.
//! - `yaml`: text to nodes, and nodes to lines.
//! - `addresses`, [`duration`], `per_listener`, `tls_names`: values that know of nothing else.

mod addresses;
pub mod duration;
mod files;
mod keys;
mod open_listeners;
mod per_listener;
mod proxy;
pub mod routes;
mod sections;
mod tls_names;
mod yaml;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use self::addresses::{
    ClientNetwork, ListenAddress, ListenAddressError, Upstream, UpstreamError,
};
pub use self::files::{ConfigFiles, FilePattern, Secret, TargetContents};
pub use self::keys::{reference, schema};
pub use self::per_listener::PerListener;
pub use self::proxy::Proxy;
pub use self::sections::{
    HttpConfig, Limits, Network, PasswordHash, PemMaterial, ProxyProtocol, RateLimit,
    SniCertificate, TlsConfig, Token, TokenHash, User,
};
pub use self::tls_names::{CipherSuite, ClientAuth, ClientCertificate, Curve, TlsVersion};
pub use self::yaml::{Finding, Findings, NodeId, Severity};

use self::files::YamlFile;
use self::keys::file::{
    BASIC_AUTH_USERS, FILE, HTTP_SERVER_CONFIG, PROXY_SECTION, RATE_LIMIT_SECTION,
    TLS_SERVER_CONFIG, home_of,
};
use self::keys::toolkit::INTERVAL;
use self::keys::{Reader, Section, Value};
use self::routes::RouteConfig;
use self::sections::{TlsSection, users};
use self::yaml::Node;

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The TLS of the listeners; `None`: plaintext.
    pub tls: PerListener<Option<TlsConfig>>,
    /// The settings of HTTP.
    pub http: HttpConfig,
    /// The users; none: no authentication by password.
    pub users: Vec<User>,
    /// The rate limit of the whole server, if there is any.
    pub rate_limit: Option<RateLimit>,
    /// The section of exporter-guard itself.
    pub proxy: Proxy,
    /// The protections that the file turns off in words.
    pub declared: ExplicitlyOff,
    /// The paths of all YAML files that belong to it, and whether the last line of each has an end.
    pub texts: BTreeMap<PathBuf, bool>,
}

/// The protections that the file turns off in so many words: by an empty section (`{}`). A section that
/// is absent or null says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplicitlyOff {
    /// True if the file has `tls_server_config: {}`.
    pub tls_explicitly_off: bool,
    /// True if the file has `basic_auth_users: {}`.
    pub users_explicitly_none: bool,
    /// True if the file has `rate_limit: {}`, or an interval there.
    pub rate_limit_off: bool,
}

impl Config {
    /// Returns what a handshake asks of clients where requests are to meet `demanded`: the same
    /// without insisting where a public path needs no certificate. `listener` is one that has its own
    /// TLS; `None`: all others.
    pub fn in_handshake(&self, listener: Option<&str>, demanded: ClientAuth) -> ClientAuth {
        let mut routes = self.routes_through(listener);
        let asks_less = routes.any(|route| !route.policy.public_paths.is_empty());
        if asks_less { demanded.without_requirement() } else { demanded }
    }

    /// Returns the routes that a listener leads to; `None`: any listener without a TLS of its own.
    fn routes_through(&self, listener: Option<&str>) -> impl Iterator<Item = &RouteConfig> {
        let is_meant = move |name: &String| match listener {
            Some(listener) => name == listener,
            None => self.tls.own_of(name).is_none(),
        };
        let routes = self.proxy.routes.iter().map(Arc::as_ref);
        routes.filter(move |route| {
            let listeners = &route.policy.listeners;
            listeners.is_empty() || listeners.iter().any(is_meant)
        })
    }
}

/// The content of a file, good or bad.
pub struct Reading {
    /// The configuration; `None` when there is an error among the findings.
    pub config: Option<Config>,
    /// The TLS sections that could be read, also when another section is broken, so that the
    /// problems of their material can be reported along with the others.
    pub tls: PerListener<Option<TlsConfig>>,
    /// The findings about the file and those that it names.
    pub findings: Findings,
    /// The files that were read, or tried.
    pub files: ConfigFiles,
}

/// Reads the file and every file it names. `substitutes` stand for the contents of files of targets;
/// those that are as `in_force` come before others, which are to blame for what both have.
pub fn read(path: &Path, substitutes: TargetContents, in_force: TargetContents) -> Reading {
    let mut files = ConfigFiles::new(path).with_targets(substitutes, in_force);
    match files.read(path) {
        Ok(bytes) => parse_as(path, bytes.to_vec(), files),
        Err(error) => failed(Findings::unreadable(path, error.to_string()), files),
    }
}

/// Reads `text` as if it were the content of `path`, and every file it names.
pub fn parse(path: &Path, text: Vec<u8>) -> Reading {
    parse_as(path, text, ConfigFiles::new(path))
}

fn parse_as(path: &Path, text: Vec<u8>, mut files: ConfigFiles) -> Reading {
    match YamlFile::parse(path, text, &mut files) {
        Ok(file) => read_file(file, files),
        Err(findings) => failed(findings, files),
    }
}

fn failed(findings: Findings, files: ConfigFiles) -> Reading {
    Reading { config: None, tls: PerListener::default(), findings, files }
}

fn read_file(file: YamlFile, files: ConfigFiles) -> Reading {
    let files = RefCell::new(files);
    let reader = Reader::new(file.findings, &files, home_of);
    let mut config = read_sections(&reader, &file.root);
    let findings = reader.into_findings();
    let mut files = files.into_inner();
    config.texts = files.take_texts();
    let tls = config.tls.clone();
    let config = (!findings.has_errors()).then_some(config);
    Reading { config, tls, findings, files }
}

/// Reads every section. What is wrong with one is among the reader's findings.
fn read_sections(reader: &Reader<'_>, root: &Node) -> Config {
    let file = Section::open(Value::new(reader, root, ""), &FILE);
    let http = HttpConfig::read(file.get(&HTTP_SERVER_CONFIG).as_ref());
    let tls = file.find(&TLS_SERVER_CONFIG);
    let tls = tls.map_or(TlsSection::Off, |value| TlsSection::read(value, http.http2));
    let users = users::read(file.get(&BASIC_AUTH_USERS).unwrap_or_default());
    if !users.is_empty() && tls.is_off() {
        file.warning(&BASIC_AUTH_USERS, "without TLS, passwords cross the network in clear");
    }
    let rate_limit = file.get(&RATE_LIMIT_SECTION);
    let (proxy, tls) = match file.get(&PROXY_SECTION) {
        Some(section) => Proxy::read(&section, tls, &users, http.http2),
        None => (Proxy::default(), PerListener::same(tls.into_option())),
    };
    let is_empty =
        |value: Option<Value<'_>>| value.is_some_and(|value| value.node().is_empty_mapping());
    let rate_limit_off = is_empty(file.find(&RATE_LIMIT_SECTION))
        || rate_limit.as_ref().is_some_and(|section| section.has(&INTERVAL));
    let config = Config {
        tls,
        http,
        users,
        rate_limit: rate_limit.and_then(|section| RateLimit::read(&section)),
        proxy,
        declared: ExplicitlyOff {
            tls_explicitly_off: is_empty(file.find(&TLS_SERVER_CONFIG)),
            users_explicitly_none: is_empty(file.find(&BASIC_AUTH_USERS)),
            rate_limit_off,
        },
        texts: BTreeMap::new(),
    };
    // A broken section may be the one that asks.
    if !reader.has_errors() {
        open_listeners::check(&file, &config);
    }
    config
}
