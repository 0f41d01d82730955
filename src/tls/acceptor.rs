//! Builds OpenSSL contexts from a validated TLS configuration.

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

/// The suites that Go's server offers for TLS 1.2, without the CBC suites that it keeps for old
/// browsers.
const TLS12_SUITES: &str = "ECDHE+AESGCM:ECDHE+CHACHA20";
/// The suites for TLS 1.0 and 1.1, which have no AEAD suites.
const LEGACY_SUITES: &str = "ECDHE+AES+SHA";
/// The suites of TLS 1.3, in Go's order on hardware with AES instructions.
const TLS13_SUITES: &str =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";
/// Go's default groups, the post-quantum hybrid first, and the same groups without it: OpenSSL does
/// not have it before 3.5.
const DEFAULT_GROUPS: [&str; 2] =
    ["X25519MLKEM768:X25519:P-256:P-384:P-521", "X25519:P-256:P-384:P-521"];
/// The security level for TLS 1.0 and 1.1. OpenSSL's level 1 refuses the SHA-1 signatures that
/// these versions are built on.
const LEGACY_SECURITY_LEVEL: u32 = 0;
/// Tickets per TLS 1.3 handshake: one, as Go sends. The second one of OpenSSL's default of two
/// costs as many bytes as a signature, and clients that open one connection at a time have no use
/// for it.
const TLS13_TICKETS: usize = 1;
/// Bytes of a session ID context, OpenSSL's maximum (SSL_CTX_set_session_id_context(3)).
const SESSION_CONTEXT_LEN: usize = 32;

const ALPN_HTTP2: &[u8] = b"\x02h2\x08http/1.1";
const ALPN_HTTP1: &[u8] = b"\x08http/1.1";

/// The TLS contexts of one listener in one snapshot.
#[derive(Clone)]
pub struct Acceptor(SslContext);

/// A setting that OpenSSL refuses.
#[derive(Debug)]
pub struct AcceptorError {
    /// The configuration key that the setting comes from.
    pub key: &'static str,
    /// The errors of OpenSSL.
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
    /// Builds the contexts of a listener, one for each certificate.
    ///
    /// `verifier` says what a handshake asks of clients. That is less than the file says where some
    /// requests need no certificate.
    ///
    /// # Errors
    ///
    /// Returns the setting that OpenSSL refuses.
    pub fn new(
        tls: &TlsConfig,
        verifier: &ClientVerifier,
        identity: &ServerMaterial,
        http2: bool,
    ) -> Result<Self, AcceptorError> {
        let session_context = random_session_context()?;
        let options = ContextOptions { tls, verifier, identity, http2, session_context };
        let mut builder = options.context_builder(&identity.pair)?;
        // The tickets of all contexts are those of the first.
        set_ticket_policy::<EndOfCertificates>(&mut builder).at("cert_file")?;
        let names = SniContexts::new(&options)?;
        // Set also for a single certificate: a TLS 1.2 session keeps the server name only if a
        // callback has accepted it.
        builder.set_servername_callback(move |ssl, _| names.choose(ssl));
        Ok(Self(builder.build()))
    }

    /// Creates the TLS state of a new connection.
    ///
    /// # Errors
    ///
    /// Returns the errors of OpenSSL.
    pub fn new_ssl(&self) -> Result<Ssl, ErrorStack> {
        Ssl::new(&self.0)
    }
}

/// The settings that all contexts of an acceptor share. A connection that switches to the context
/// of another certificate takes over nearly all other settings of that context, too.
struct ContextOptions<'a> {
    tls: &'a TlsConfig,
    verifier: &'a ClientVerifier,
    identity: &'a ServerMaterial,
    http2: bool,
    session_context: [u8; SESSION_CONTEXT_LEN],
}

impl ContextOptions<'_> {
    fn context_builder(&self, pair: &CertifiedKey) -> Result<SslContextBuilder, AcceptorError> {
        let mut builder = SslContext::builder(SslMethod::tls_server()).at("cert_file")?;
        set_modes(&mut builder);
        set_identity(&mut builder, pair)?;
        set_versions(&mut builder, self.tls)?;
        set_ciphers(&mut builder, self.tls)?;
        set_groups(&mut builder, &self.tls.curves).at("curve_preferences")?;
        set_sessions(&mut builder, &self.session_context).at("cert_file")?;
        client::configure(&mut builder, self.verifier).at("client_ca_file")?;
        let protocols = if self.http2 { ALPN_HTTP2 } else { ALPN_HTTP1 };
        builder.set_alpn_select_callback(move |_, offered| {
            // RFC 7301 section 3.2, as in Go: without a common protocol the handshake fails, since
            // a client does not speak a protocol that it did not offer.
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
            // Frees the 34 KB of record buffers of an idle connection.
            | SslMode::RELEASE_BUFFERS
            // Sends the chain that the file holds, not one that OpenSSL finds among the client CAs.
            | SslMode::NO_AUTO_CHAIN,
    );
    builder.set_options(
        SslOptions::NO_COMPRESSION | SslOptions::NO_RENEGOTIATION | SslOptions::SINGLE_ECDH_USE,
    );
    // Reads the header and the body of a record with one system call.
    builder.set_read_ahead(true);
}

/// The contexts by server name.
struct SniContexts {
    /// The names of the default certificate, which clients get that ask for an unknown name or
    /// none.
    default_names: Vec<String>,
    others: HashMap<String, SslContext>,
}

impl SniContexts {
    fn new(options: &ContextOptions<'_>) -> Result<Self, AcceptorError> {
        let mut others = HashMap::new();
        for pair in &options.identity.others {
            let context = options.context_builder(pair)?.build();
            for name in pair.names() {
                others.entry(name).or_insert_with(|| context.clone());
            }
        }
        Ok(Self { default_names: options.identity.pair.names(), others })
    }

    /// Switches the connection to the context of the name that the client asks for.
    fn choose(&self, ssl: &mut SslRef) -> Result<(), SniError> {
        let Some(name) = ssl.servername(NameType::HOST_NAME).map(str::to_ascii_lowercase) else {
            return Ok(());
        };
        // RFC 9525 section 6.3: a wildcard stands for the whole first label.
        let wildcard = name.split_once('.').map(|(_, rest)| format!("*.{rest}"));
        for wanted in [Some(name), wildcard].into_iter().flatten() {
            if self.default_names.contains(&wanted) {
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
    // A list of TLS 1.3 suites alone leaves no suite for TLS 1.2, as in Go.
    let min = if has_only_tls13_suites(&tls.cipher_suites) {
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

fn has_only_tls13_suites(suites: &[CipherSuite]) -> bool {
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
        (true, false) => TLS12_SUITES.to_owned(),
        (true, true) => format!("{TLS12_SUITES}:{LEGACY_SUITES}"),
    };
    builder.set_cipher_list(&tls12).at("cipher_suites")?;
    // As in Go, the file cannot choose among the suites of TLS 1.3.
    builder.set_ciphersuites(TLS13_SUITES).at("cipher_suites")?;
    if tls.prefer_server_cipher_suites {
        builder.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
        if listed.is_empty() {
            // A client that lists ChaCha20 first has no AES instructions.
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

/// Keeps sessions in tickets alone, so that there is no session table for clients to fill.
fn set_sessions(builder: &mut SslContextBuilder, context: &[u8]) -> Result<(), ErrorStack> {
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    builder.set_num_tickets(TLS13_TICKETS)?;
    builder.set_session_id_context(context)
}

/// Returns a new context, so that no session resumes under another configuration.
fn random_session_context() -> Result<[u8; SESSION_CONTEXT_LEN], AcceptorError> {
    let mut context = [0; SESSION_CONTEXT_LEN];
    openssl::rand::rand_bytes(&mut context).at("cert_file")?;
    Ok(context)
}
