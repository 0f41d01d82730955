//! The web configuration file, parsed and validated: the exporter-toolkit's four sections and our
//! `proxy`. Everything that leaves this module is typed and checked; nothing here knows of
//! sockets, TLS libraries or HTTP engines.
//!
//! [`read`] is the way in, or [`parse`] for a text that is not in a file. They report every problem,
//! each with its line.

mod document;
pub mod duration;
mod findings;
mod http;
mod node;
mod proxy;
mod rate_limit;
mod secret;
mod sources;
mod tls;
mod users;

use std::path::Path;

pub use self::findings::{Finding, Findings, Severity};
pub use self::http::Http;
pub use self::proxy::{Certificate, Limits, Proxy, Token, routes};
pub use self::rate_limit::RateLimit;
pub use self::secret::Secret;
pub use self::sources::Sources;
pub use self::tls::{CipherSuite, ClientAuth, ClientCertificate, Curve, Material, Tls, TlsVersion};
pub use self::users::{PasswordHash, User};

use self::document::Document;
use self::findings::Problems;
use self::node::Node;
use self::proxy::Others;

/// A whole, valid configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// `None`: plaintext.
    pub tls: Option<Tls>,
    pub http: Http,
    /// Empty: no authentication by password.
    pub users: Vec<User>,
    /// `None`: no limit.
    pub rate_limit: Option<RateLimit>,
    pub proxy: Proxy,
    pub declared: Declared,
}

/// What the file says in so many words of a protection that is off: an empty section (`{}`), an
/// empty list, a type. What is absent or null says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Declared {
    pub tls_explicitly_off: bool,
    pub users_explicitly_none: bool,
    /// The file has this key.
    pub client_auth_type: bool,
    /// The file has this key.
    pub client_allowed_sans: bool,
}

impl Config {
    /// What every client must show before its first request that is not for a public path.
    pub fn client_certificate(&self) -> ClientCertificate {
        self.tls.as_ref().map_or(ClientCertificate::Optional, |tls| tls.client_auth.certificate())
    }

    /// What the handshake asks for. Where some paths are public it insists on nothing: each request
    /// does.
    pub fn handshake_client_auth(&self) -> ClientAuth {
        match self.tls.as_ref().map_or(ClientAuth::None, |tls| tls.client_auth) {
            demanding if self.proxy.has_public_paths() => demanding.asking(),
            client_auth => client_auth,
        }
    }
}

/// What a file holds, good or bad.
pub struct Reading {
    /// `None` when there is an error among the findings.
    pub config: Option<Config>,
    /// The TLS section when it could be read, also when another section is broken, so that the
    /// problems of its material can be reported along with the others.
    pub tls: Option<Tls>,
    pub findings: Findings,
    pub sources: Sources,
}

/// The sections of the file, for messages.
const SECTIONS: [&str; 5] =
    ["tls_server_config", "http_server_config", "basic_auth_users", "rate_limit", "proxy"];

/// Read the file and every file it names.
pub fn read(path: &Path) -> Reading {
    let mut sources = Sources::new(path);
    match sources.read(path) {
        Ok(bytes) => parse_as(path, bytes.to_vec(), sources),
        Err(message) => unreadable(path, sources, &message),
    }
}

/// Read `text` as if it were the content of `path`, and every file it names.
pub fn parse(path: &Path, text: Vec<u8>) -> Reading {
    parse_as(path, text, Sources::new(path))
}

fn parse_as(path: &Path, text: Vec<u8>, sources: Sources) -> Reading {
    let Ok(text) = String::from_utf8(text) else {
        return unreadable(path, sources, "not UTF-8 text");
    };
    match Document::parse(text) {
        Ok((document, root)) => validate(path, document, &root, sources),
        Err(error) => {
            let mut findings = Findings::new(path, None);
            findings.push_at_line(error.line, &error.message);
            Reading { config: None, tls: None, findings, sources }
        }
    }
}

fn unreadable(path: &Path, sources: Sources, message: &str) -> Reading {
    let mut findings = Findings::new(path, None);
    findings.push_at_line(None, message);
    Reading { config: None, tls: None, findings, sources }
}

fn validate(path: &Path, document: Document, root: &Node, mut sources: Sources) -> Reading {
    let mut problems = Problems::default();
    let root = root.section("", &SECTIONS, &mut problems);
    let tls_node = root.get("tls_server_config");
    let users_node = root.get("basic_auth_users");
    let http = Http::validate(root.get("http_server_config"), &mut problems);
    let tls = Tls::validate(tls_node, http.http2, &mut sources, &mut problems);
    let users = users::validate(users_node, &mut problems);
    if !users.is_empty() && tls.is_off() {
        let node = users_node.expect("there are users");
        problems
            .warning(node, "basic_auth_users: without TLS, passwords cross the network in clear");
    }
    let rate_limit = RateLimit::validate(root.get("rate_limit"), &mut problems);
    let client_auth = tls.client_auth();
    let others = Others { users: &users, client_auth, tls: !tls.is_off() };
    let proxy = Proxy::validate(root.get("proxy"), &others, &mut sources, &mut problems);
    let declared = Declared {
        tls_explicitly_off: tls_node.is_some_and(Node::is_empty_map),
        users_explicitly_none: users_node.is_some_and(Node::is_empty_map),
        client_auth_type: tls_node.is_some_and(|node| node.has("client_auth_type")),
        client_allowed_sans: tls_node.is_some_and(|node| node.has("client_allowed_sans")),
    };
    let findings = Findings::from_problems(path, document, problems);
    let tls = tls.into_option();
    let config = (!findings.has_errors()).then(|| Config {
        tls: tls.clone(),
        http,
        users,
        rate_limit,
        proxy,
        declared,
    });
    Reading { config, tls, findings, sources }
}
