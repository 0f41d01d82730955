//! The web configuration file, parsed and validated: the exporter-toolkit's four sections and our
//! `proxy`. Everything that leaves this module is typed and checked; nothing here knows of
//! sockets, TLS libraries or HTTP engines.
//!
//! [`read`] is the way in, or [`parse`] for a text that is not in a file. They report every problem,
//! each with its line.

mod addresses;
mod document;
pub mod duration;
mod file;
mod file_pattern;
mod findings;
mod http;
mod node;
mod per_listener;
mod proxy;
mod rate_limit;
mod secret;
mod sources;
mod tls;
mod users;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::addresses::{ClientNetwork, ListenAddress, Upstream};
pub use self::file_pattern::FilePattern;
pub use self::findings::{Finding, Findings, Severity};
pub use self::http::HttpConfig;
pub use self::per_listener::PerListener;
pub use self::proxy::{Limits, Proxy, SniCertificate, Token, TokenHash, routes};
pub use self::rate_limit::RateLimit;
pub use self::secret::Secret;
pub use self::sources::ConfigFiles;
pub use self::tls::{
    CipherSuite, ClientAuth, ClientCertificate, Curve, PemMaterial, TlsConfig, TlsVersion,
};
pub use self::users::{PasswordHash, User};

use self::document::Document;
use self::findings::Problems;
use self::node::Node;
use self::proxy::Others;

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `None`: plaintext.
    pub tls: PerListener<Option<TlsConfig>>,
    pub http: HttpConfig,
    /// Empty: no authentication by password.
    pub users: Vec<User>,
    /// `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    pub proxy: Proxy,
    pub declared: ExplicitlyOff,
    /// Of each YAML file that belongs to it, whether the last line has an end.
    pub texts: BTreeMap<PathBuf, bool>,
}

/// What the file says in so many words of a protection that is off: an empty section (`{}`). What is
/// absent or null says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExplicitlyOff {
    pub tls_explicitly_off: bool,
    pub users_explicitly_none: bool,
}

impl Config {
    /// `listener`: one that has its own TLS; `None`: all others.
    pub fn in_handshake(&self, listener: Option<&str>, demanded: ClientAuth) -> ClientAuth {
        let is_there = |name: &String| match listener {
            Some(listener) => name == listener,
            None => self.tls.own_of(name).is_none(),
        };
        let asks_less = self.proxy.has_public_paths(is_there);
        if asks_less { demanded.without_requirement() } else { demanded }
    }
}

/// What a file holds, good or bad.
pub struct Reading {
    /// `None` when there is an error among the findings.
    pub config: Option<Config>,
    /// The TLS sections that could be read, also when another section is broken, so that the
    /// problems of their material can be reported along with the others.
    pub tls: PerListener<Option<TlsConfig>>,
    pub findings: Findings,
    pub files: ConfigFiles,
}

const TLS: &str = "tls_server_config";

/// The sections of the file, for messages.
const SECTIONS: [&str; 5] = [TLS, "http_server_config", "basic_auth_users", "rate_limit", "proxy"];

/// Read the file and every file it names.
pub fn read(path: &Path) -> Reading {
    let mut sources = ConfigFiles::new(path);
    match sources.read(path) {
        Ok(bytes) => parse_as(path, bytes.to_vec(), sources),
        Err(message) => unreadable(path, sources, &message),
    }
}

/// Read `text` as if it were the content of `path`, and every file it names.
pub fn parse(path: &Path, text: Vec<u8>) -> Reading {
    parse_as(path, text, ConfigFiles::new(path))
}

fn parse_as(path: &Path, text: Vec<u8>, sources: ConfigFiles) -> Reading {
    let Ok(text) = String::from_utf8(text) else {
        return unreadable(path, sources, "not UTF-8 text");
    };
    match Document::parse(text) {
        Ok((document, root)) => validate(path, document, &root, sources),
        Err(error) => {
            let mut findings = Findings::new(path, None);
            findings.push_at_line(error.line, &error.message);
            Reading { config: None, tls: PerListener::default(), findings, files: sources }
        }
    }
}

fn unreadable(path: &Path, sources: ConfigFiles, message: &str) -> Reading {
    let mut findings = Findings::new(path, None);
    findings.push_at_line(None, message);
    Reading { config: None, tls: PerListener::default(), findings, files: sources }
}

fn validate(path: &Path, document: Document, root: &Node, mut sources: ConfigFiles) -> Reading {
    sources.note_text(path, document.ends_in_newline());
    let mut problems = Problems::of(document);
    let root = root.section("", &SECTIONS, &mut problems);
    let tls_node = root.get(TLS);
    let users_node = root.get("basic_auth_users");
    let http = HttpConfig::validate(root.get("http_server_config"), &mut problems);
    let tls = TlsConfig::validate(tls_node, TLS, http.http2, &mut sources, &mut problems);
    let users = users::validate(users_node, &mut problems);
    if !users.is_empty() && tls.is_off() {
        let node = users_node.expect("there are users");
        problems
            .warning(node, "basic_auth_users: without TLS, passwords cross the network in clear");
    }
    let rate_limit = RateLimit::validate(root.get("rate_limit"), &mut problems);
    let others = Others { users: &users, http2: http.http2 };
    let (proxy, tls) =
        Proxy::validate(root.get("proxy"), tls, &others, &mut sources, &mut problems);
    let texts = sources.take_texts();
    let declared = ExplicitlyOff {
        tls_explicitly_off: tls_node.is_some_and(Node::is_empty_map),
        users_explicitly_none: users_node.is_some_and(Node::is_empty_map),
    };
    let findings = Findings::from_problems(path, problems);
    let config = (!findings.has_errors()).then(|| Config {
        tls: tls.clone(),
        http,
        users,
        rate_limit,
        proxy,
        declared,
        texts,
    });
    Reading { config, tls, findings, files: sources }
}
