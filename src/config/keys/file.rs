//! The sections of the file.

use super::declaration::{Key, section};
use super::proxy::PROXY;
use super::section_types::Nested;
use super::text_types::TextMapping;
use super::toolkit::{HTTP, RATE_LIMIT, TLS, bcrypt_hash};

section! {
    FILE = "", Toolkit, "The sections of the file. An unknown key, and a key that stands twice in a \
        mapping, are errors; a key without a value (null) is as good as absent. Where it \
        protects something it is an error (\"not null\" below), since half a file looks like this.";
    TLS_SERVER_CONFIG: Nested = Key::new("tls_server_config", Nested(&TLS),
        "TLS of the listeners. `{}` says that there is to be none, which plaintext for everybody \
         and a reload that turns TLS off need")
        .without("plaintext")
        .protecting("{}");
    HTTP_SERVER_CONFIG: Nested = Key::new("http_server_config", Nested(&HTTP),
        "HTTP/2, and header fields of every response");
    BASIC_AUTH_USERS: TextMapping = Key::new("basic_auth_users",
        TextMapping::new("user name", "", bcrypt_hash()),
        "Users and the bcrypt hashes of their passwords, as `exporter-guard hash-password` makes them. \
         `{}` says that there are to be none, which a file that asks nobody \
         for anything and a reload that removes the last one need")
        .without("no authentication by password")
        .protecting("{}");
    RATE_LIMIT_SECTION: Nested = Key::new("rate_limit", Nested(&RATE_LIMIT),
        "A token bucket for all requests, asked before authentication. An empty one answers 429")
        .without("no limit")
        .protecting("{}");
    PROXY_SECTION: Nested = Key::new("proxy", Nested(&PROXY),
        "Routes, tokens, limits and listeners. Exporters do not know the section")
        .protecting("{}");
}

/// Returns the section that a key belongs to, the first if there are several; for the hint about a key
/// in a section that does not have it.
pub fn home_of(key: &str) -> Option<&'static str> {
    let home = FILE.all().into_iter().find(|section| section.find(key).is_some());
    home.map(|section| section.name)
}
