//! A validated TLS configuration turned into an OpenSSL context.

use std::collections::HashMap;

use openssl::error::ErrorStack;
use openssl::ssl::{
    AlpnError, NameType, SniError, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode,
    SslOptions, SslRef, SslSessionCacheMode, SslVersion, select_next_proto,
};

use super::client::{self, ClientVerifier};
use super::material::{CertifiedKey, ServerMaterial};
use super::presented::EndOfCertificates;
use crate::config::{CipherSuite, Curve, TlsConfig, TlsVersion};
use crate::os::openssl::set_ticket_policy;

/// What Go's server offers for TLS 1.2, without the CBC suites it keeps for old browsers.
const DEFAULT_TLS12: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// TLS 1.0 and 1.1 know no AEAD suites.
const LEGACY_TLS: &str = "ECDHE+AES+SHA";
/// Go's order on hardware with AES instructions.
const TLS13: &str = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
/// Go's default, post-quantum hybrid first; an OpenSSL before 3.5 does not know that one.
const DEFAULT_GROUPS: [&str; 2] =
    ["X25519MLKEM768:X25519:P-256:P-384:P-521", "X25519:P-256:P-384:P-521"];
/// OpenSSL's level 1 refuses the SHA-1 signatures that TLS 1.0 and 1.1 are made of.
const LEGACY_SECURITY_LEVEL: u32 = 0;
/// One ticket per TLS 1.3 handshake, as Go sends; OpenSSL's default of two costs a signature's
/// worth of bytes for clients that open one connection at a time.
const TLS13_TICKETS: usize = 1;
const SESSION_CONTEXT_LEN: usize = 32;

const ALPN_HTTP2: &[u8] = b"\x02h2\x08http/1.1";
const ALPN_HTTP1: &[u8] = b"\x08http/1.1";

/// The TLS side of a snapshot.
#[derive(Clone)]
pub struct Acceptor(SslContext);

/// What OpenSSL refused, and the configuration key it came from.
#[derive(Debug)]
pub struct AcceptorError {
    pub key: &'static str,
    pub cause: ErrorStack,
}

impl std::fmt::Display for AcceptorError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: OpenSSL refuses this: {}", self.key, self.cause)
    }
}

impl std::error::Error for AcceptorError {}

trait ForKey<T> {
    fn at(self, key: &'static str) -> Result<T, AcceptorError>;
}

impl<T> ForKey<T> for Result<T, ErrorStack> {
    fn at(self, key: &'static str) -> Result<T, AcceptorError> {
        self.map_err(|cause| AcceptorError { key, cause })
    }
}

impl Acceptor {
    /// `client_auth`: what the handshake asks for, which is less than what the file says where some
    /// requests need nothing.
    pub fn new(
        tls: &TlsConfig,
        verifier: &ClientVerifier,
        identity: &ServerMaterial,
        http2: bool,
    ) -> Result<Self, AcceptorError> {
        let options =
            ContextOptions { tls, verifier, identity, http2, sessions: session_context()? };
        let mut builder = options.context(&identity.pair)?;
        // The tickets of all contexts are those of the first.
        set_ticket_policy::<EndOfCertificates>(&mut builder).at("cert_file")?;
        let names = SniContexts::new(&options)?;
        // Also where there is one certificate: a session of TLS 1.2 keeps only a name that somebody
        // has taken note of.
        builder.set_servername_callback(move |ssl, _| names.choose(ssl));
        Ok(Self(builder.build()))
    }

    pub fn new_ssl(&self) -> Result<Ssl, ErrorStack> {
        Ssl::new(&self.0)
    }
}

/// What all contexts of an acceptor have in common: a connection that changes its context for the sake
/// of another certificate takes over nearly everything else of it, too.
struct ContextOptions<'a> {
    tls: &'a TlsConfig,
    verifier: &'a ClientVerifier,
    identity: &'a ServerMaterial,
    http2: bool,
    sessions: [u8; SESSION_CONTEXT_LEN],
}

impl ContextOptions<'_> {
    fn context(&self, pair: &CertifiedKey) -> Result<SslContextBuilder, AcceptorError> {
        let mut builder = SslContext::builder(SslMethod::tls_server()).at("cert_file")?;
        set_modes(&mut builder);
        set_identity(&mut builder, pair)?;
        set_versions(&mut builder, self.tls)?;
        set_ciphers(&mut builder, self.tls)?;
        set_groups(&mut builder, &self.tls.curves).at("curve_preferences")?;
        set_sessions(&mut builder, &self.sessions).at("cert_file")?;
        client::configure(&mut builder, self.verifier).at("client_ca_file")?;
        let protocols = if self.http2 { ALPN_HTTP2 } else { ALPN_HTTP1 };
        builder.set_alpn_select_callback(move |_, offered| {
            // RFC 7301 section 3.2, as in Go: what a client did not offer it does not mean to speak.
            select_next_proto(protocols, offered).ok_or(AlpnError::ALERT_FATAL)
        });
        Ok(builder)
    }
}

fn set_modes(builder: &mut SslContextBuilder) {
    builder.set_mode(
        SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            // An idle connection gives its 34 KB of record buffers back.
            | SslMode::RELEASE_BUFFERS
            // The chain is what the file holds, not what OpenSSL finds among the client CAs.
            | SslMode::NO_AUTO_CHAIN,
    );
    builder.set_options(
        SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION | SslOptions::SINGLE_ECDH_USE,
    );
    // One system call for a record's header and body.
    builder.set_read_ahead(true);
}

/// Which certificate is for which name.
struct SniContexts {
    /// Of the certificate that all others get.
    own: Vec<String>,
    others: HashMap<String, SslContext>,
}

impl SniContexts {
    fn new(options: &ContextOptions<'_>) -> Result<Self, AcceptorError> {
        let mut others = HashMap::new();
        for pair in &options.identity.others {
            let context = options.context(pair)?.build();
            for name in pair.names() {
                others.entry(name).or_insert_with(|| context.clone());
            }
        }
        Ok(Self { own: options.identity.pair.names(), others })
    }

    fn choose(&self, ssl: &mut SslRef) -> Result<(), SniError> {
        let Some(name) = ssl.servername(NameType::HOST_NAME).map(str::to_ascii_lowercase) else {
            return Ok(());
        };
        // RFC 9525 section 6.3: a wildcard is the whole first label.
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        for wanted in [Some(name), wildcard].into_iter().flatten() {
            if self.own.contains(&wanted) {
                return Ok(());
            }
            if let Some(context) = self.others.get(&wanted) {
                return ssl.set_ssl_context(context).map_err(|_| SniError::ALERT_FATAL);
            }
        }
        Ok(())
    }
}

fn set_identity(builder: &mut SslContextBuilder, pair: &CertifiedKey) -> Result<(), AcceptorError> {
    builder.set_certificate(&pair.leaf).at("cert_file")?;
    for certificate in &pair.chain {
        builder.add_extra_chain_cert(certificate.clone()).at("cert_file")?;
    }
    builder.set_private_key(&pair.key).at("key_file")?;
    builder.check_private_key().at("key_file")
}

fn set_versions(builder: &mut SslContextBuilder, tls: &TlsConfig) -> Result<(), AcceptorError> {
    // A list of TLS 1.3 suites alone leaves nothing for TLS 1.2, as in Go.
    let min = if only_tls13_suites(&tls.cipher_suites) {
        tls.min_version.max(TlsVersion::Tls13)
    } else {
        tls.min_version
    };
    if min < TlsVersion::Tls12 {
        builder.set_security_level(LEGACY_SECURITY_LEVEL);
    }
    builder.set_min_proto_version(Some(openssl_version(min))).at("min_version")?;
    builder.set_max_proto_version(Some(openssl_version(tls.max_version))).at("max_version")
}

fn only_tls13_suites(suites: &[CipherSuite]) -> bool {
    !suites.is_empty() && suites.iter().all(|suite| suite.is_tls13())
}

fn openssl_version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::Tls10 => SslVersion::TLS1,
        TlsVersion::Tls11 => SslVersion::TLS1_1,
        TlsVersion::Tls12 => SslVersion::TLS1_2,
        TlsVersion::Tls13 => SslVersion::TLS1_3,
    }
}

fn set_ciphers(builder: &mut SslContextBuilder, tls: &TlsConfig) -> Result<(), AcceptorError> {
    let listed: Vec<&str> = tls
        .cipher_suites
        .iter()
        .filter(|suite| !suite.is_tls13())
        .map(|suite| suite.openssl_name())
        .collect();
    let tls12 = match (listed.is_empty(), tls.min_version < TlsVersion::Tls12) {
        (false, _) => listed.join(":"),
        (true, false) => DEFAULT_TLS12.to_owned(),
        (true, true) => format!("{DEFAULT_TLS12}:{LEGACY_TLS}"),
    };
    builder.set_cipher_list(&tls12).at("cipher_suites")?;
    // Go does not let TLS 1.3 suites be chosen.
    builder.set_ciphersuites(TLS13).at("cipher_suites")?;
    if tls.prefer_server_cipher_suites {
        builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
        if listed.is_empty() {
            // A client that puts ChaCha20 first has no AES instructions.
            builder.set_options(SslOptions::PRIORITIZE_CHACHA);
        }
    }
    Ok(())
}

fn set_groups(builder: &mut SslContextBuilder, curves: &[Curve]) -> Result<(), ErrorStack> {
    if curves.is_empty() {
        let [with_post_quantum, without] = DEFAULT_GROUPS;
        return builder
            .set_groups_list(with_post_quantum)
            .or_else(|_| builder.set_groups_list(without));
    }
    let names: Vec<&str> = curves.iter().map(|curve| curve.openssl_name()).collect();
    builder.set_groups_list(&names.join(":"))
}

/// Sessions live in tickets alone: no table that clients can fill.
fn set_sessions(builder: &mut SslContextBuilder, context: &[u8]) -> Result<(), ErrorStack> {
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_num_tickets(TLS13_TICKETS)?;
    builder.set_session_id_context(context)
}

/// Fresh, so that no session passes from one configuration to the next.
fn session_context() -> Result<[u8; SESSION_CONTEXT_LEN], AcceptorError> {
    let mut context = [0; SESSION_CONTEXT_LEN];
    openssl::rand::rand_bytes(&mut context).at("cert_file")?;
    Ok(context)
}
