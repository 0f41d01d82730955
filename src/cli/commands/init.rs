//! `init`: key, certificate, web configuration and password in place of openssl and htpasswd.
//!
//! All of it is new or nothing is: no file is overwritten, and a run that fails, be it at printing
//! the password, leaves nothing behind.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::hostname::Hostname;
use super::new_files::{CreateError, NewFiles, exists};
use super::{certificate, hostname, instructions};
use crate::auth::DEFAULT_BCRYPT_COST;
use crate::cli::InitArgs;

pub const WEB_CONFIG: &str = "web.yml";
pub const KEY: &str = "server.key";
pub const CERTIFICATE: &str = "server.crt";

/// Where the guard listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 9443;
pub const USER: &str = "prometheus";

/// The key, and the password hashes.
const PRIVATE: u32 = 0o600;
/// Prometheus reads the certificate as another user.
const PUBLIC: u32 = 0o644;
const DIRECTORY: u32 = 0o755;

/// Letters and digits, which no shell, URL or header reads in a special way.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// More than 142 bits.
const PASSWORD_LEN: usize = 24;

pub struct Options {
    pub directory: PathBuf,
    /// None given: this machine's name. Loopback is added always.
    pub hostnames: Vec<String>,
    /// RSA 2048 in place of ECDSA P-256.
    pub rsa: bool,
    /// For what is printed only.
    pub listen_port: u16,
}

impl From<InitArgs> for Options {
    fn from(args: InitArgs) -> Self {
        let InitArgs { directory, hostnames, rsa } = args;
        Self { directory, hostnames, rsa, listen_port: DEFAULT_PORT }
    }
}

/// What was made; the password is nowhere else.
#[must_use]
pub struct Created {
    /// Absolute.
    pub directory: PathBuf,
    pub user: &'static str,
    pub password: Zeroizing<String>,
    /// The names in the certificate; the first is what Prometheus scrapes.
    pub hostnames: Vec<Hostname>,
    pub files: Vec<PathBuf>,
    pub listen_port: u16,
}

impl fmt::Debug for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Created")
            .field("files", &self.files)
            .field("hostnames", &self.hostnames)
            .finish_non_exhaustive()
    }
}

/// A reason why nothing was made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A name cannot be in a certificate.
    #[error("--hostname {name:?}: {reason}")]
    Hostname {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        reason: hostname::InvalidHostname,
    },
    /// The directory cannot be named in the text that is printed.
    #[error(
        "--directory {0:?} is empty, not UTF-8 or holds control characters, which prometheus.yml \
         cannot name: choose another"
    )]
    Directory(PathBuf),
    /// A file exists already; nothing was written.
    #[error(
        "{} exists and is not overwritten: choose another --directory, or move it away",
        .0.display()
    )]
    Exists(PathBuf),
    /// A file or directory cannot be created.
    #[error("cannot create {}: {}: {}", .0.path.display(), .0.cause, remedy(&.0.cause))]
    Create(#[source] CreateError),
    /// OpenSSL cannot make the key or the certificate.
    #[error("cannot make the key and certificate with OpenSSL: {0}")]
    OpenSsl(#[from] ErrorStack),
    /// bcrypt cannot hash the password.
    #[error("cannot hash the password: {0}")]
    Bcrypt(#[from] bcrypt::BcryptError),
    /// The password cannot be printed, so that nobody has seen it.
    #[error(
        "cannot print the password to stdout: {0}: the files are removed again, repeat this with an \
         open stdout"
    )]
    Print(#[source] io::Error),
}

fn remedy(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "choose a --directory that this user may write to, or run this as another user"
        }
        io::ErrorKind::ReadOnlyFilesystem => "choose a --directory on a writable file system",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "make room and repeat this",
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "a part of --directory is no directory, choose another"
        }
        _ => "choose another --directory",
    }
}

/// Make everything and print the password, or leave nothing behind: nobody could use files whose
/// password was not shown.
pub fn run(options: &Options, output: &mut dyn Write) -> Result<(), InitError> {
    let (created, new) = make(options)?;
    let text = instructions(&created);
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(InitError::Print)?;
    new.keep();
    Ok(())
}

/// Make everything, or leave nothing behind.
pub fn create(options: &Options) -> Result<Created, InitError> {
    let (created, new) = make(options)?;
    new.keep();
    Ok(created)
}

/// What to tell the user, with the password.
#[must_use]
pub fn instructions(created: &Created) -> Zeroizing<String> {
    instructions::text(created)
}

fn make(options: &Options) -> Result<(Created, NewFiles), InitError> {
    let hostnames = hostnames(&options.hostnames)?;
    let directory = absolute(&options.directory)?;
    let files = [KEY, CERTIFICATE, WEB_CONFIG].map(|name| directory.join(name));
    if let Some(path) = files.iter().find(|path| exists(path)) {
        return Err(InitError::Exists(path.clone()));
    }
    let key = certificate::generate_key(options.rsa)?;
    let certificate = certificate::self_signed(&key, &hostnames, SystemTime::now())?.to_pem()?;
    let key = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    let password = random_password()?;
    let config = web_config(&hash(&password)?);
    let mut new = NewFiles::default();
    new.directory(&directory, DIRECTORY).map_err(InitError::Create)?;
    // The web configuration is last: where it is, the files it names are whole.
    let contents =
        [(PRIVATE, key.as_slice()), (PUBLIC, &certificate), (PRIVATE, config.as_bytes())];
    for (path, (mode, content)) in files.iter().zip(contents) {
        new.file(path, mode, content).map_err(not_overwritten)?;
    }
    let (files, listen_port) = (files.into(), options.listen_port);
    Ok((Created { directory, user: USER, password, hostnames, files, listen_port }, new))
}

/// Another program was faster.
fn not_overwritten(error: CreateError) -> InitError {
    match error.cause.kind() {
        io::ErrorKind::AlreadyExists => InitError::Exists(error.path),
        _ => InitError::Create(error),
    }
}

fn hostnames(given: &[String]) -> Result<Vec<Hostname>, InitError> {
    let parse = |name: &String| {
        Hostname::parse(name).map_err(|reason| InitError::Hostname { name: name.clone(), reason })
    };
    let given = given.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(hostname::with_loopback(given, hostname::of_this_machine()))
}

/// Absolute, since Prometheus runs elsewhere; of characters that YAML and a terminal show as they
/// are.
fn absolute(directory: &Path) -> Result<PathBuf, InitError> {
    let refused = || InitError::Directory(directory.to_owned());
    let absolute = std::path::absolute(directory).map_err(|_| refused())?;
    let text = absolute.to_str().ok_or_else(refused)?;
    // The two that are no control characters are line breaks to YAML.
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(refused());
    }
    Ok(absolute)
}

fn random_password() -> Result<Zeroizing<String>, ErrorStack> {
    /// Bytes from here on would favour the first letters.
    const LIMIT: u8 = u8::MAX - u8::MAX % ALPHABET.len() as u8;
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD_LEN));
    let mut byte = Zeroizing::new([0]);
    while password.len() < PASSWORD_LEN {
        openssl::rand::rand_priv_bytes(byte.as_mut_slice())?;
        if byte[0] < LIMIT {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(password)
}

fn hash(password: &str) -> Result<String, InitError> {
    bcrypt::non_truncating_hash_with_result(password, DEFAULT_BCRYPT_COST)
        .map(|parts| parts.format_for_version(bcrypt::Version::TwoY))
        .map_err(InitError::Bcrypt)
}

fn web_config(hash: &str) -> String {
    format!(
        "# Web configuration of exporter-guard, and of exporters built on the Prometheus\n\
         # exporter-toolkit. exporter-guard reads it again whenever it changes; check it first:\n\
         # exporter-guard check {WEB_CONFIG}\n\
         \n\
         tls_server_config:\n\
         \x20 # Relative to this file. The certificate is also the ca_file for Prometheus.\n\
         \x20 cert_file: {CERTIFICATE}\n\
         \x20 key_file: {KEY}\n\
         \n\
         basic_auth_users:\n\
         \x20 # Name and bcrypt hash; for another user or a new password: exporter-guard hash-password\n\
         \x20 {USER}: {hash}\n"
    )
}

#[cfg(test)]
mod tests;
