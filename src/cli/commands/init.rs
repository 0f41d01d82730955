//! `init`: makes a key, a certificate, a web configuration and a password, in place of openssl and
//! htpasswd.
//!
//! A run creates all files or none: it overwrites no file, and one that fails, even at printing the
//! password, removes what it has created.

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

/// The file name of the web configuration.
pub const WEB_CONFIG: &str = "web.yml";
/// The file name of the private key.
pub const KEY: &str = "server.key";
/// The file name of the certificate.
pub const CERTIFICATE: &str = "server.crt";

/// The port of the default of `--web.listen-address`.
pub const DEFAULT_PORT: u16 = 9443;
/// The name of the user in the web configuration.
pub const USER: &str = "prometheus";

/// The mode of the key and of the web configuration, which has a password hash.
const PRIVATE_MODE: u32 = 0o600;
/// The mode of the certificate, which Prometheus reads as another user.
const PUBLIC_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// The characters of a password: letters and digits, which are not special in a shell, a URL or a
/// header.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The characters of a password: more than 142 bits of randomness.
const PASSWORD_LEN: usize = 24;

/// The options of a run.
pub struct Options {
    /// The directory of the files; created when it does not exist.
    pub directory: PathBuf,
    /// The names for the certificate, or none for the name of this machine. The names of loopback
    /// are added in either case.
    pub hostnames: Vec<String>,
    /// Makes the key RSA 2048 instead of ECDSA P-256.
    pub rsa: bool,
    /// The port in the printed instructions.
    pub listen_port: u16,
}

impl From<InitArgs> for Options {
    fn from(args: InitArgs) -> Self {
        let InitArgs { directory, hostnames, rsa } = args;
        Self { directory, hostnames, rsa, listen_port: DEFAULT_PORT }
    }
}

/// The result of a run, and the only copy of the password.
#[must_use]
pub struct Created {
    /// The absolute path of the directory.
    pub directory: PathBuf,
    /// The name of the user.
    pub user: &'static str,
    /// The password of the user, in plaintext.
    pub password: Zeroizing<String>,
    /// The names in the certificate; Prometheus scrapes the first one.
    pub hostnames: Vec<Hostname>,
    /// The key, the certificate and the web configuration, in this order.
    pub files: Vec<PathBuf>,
    /// The port in the printed instructions.
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

/// A reason why no file was created.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A name cannot be in a certificate.
    #[error("--hostname {name:?}: {reason}")]
    Hostname {
        /// The name as given.
        name: String,
        /// The reason why it cannot be.
        reason: hostname::InvalidHostname,
    },
    /// The directory cannot be named in the printed instructions.
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
    /// The password cannot be printed.
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

/// Creates all files and prints the instructions with the password to `output`.
///
/// # Errors
///
/// Returns the reason of the failure; then no file is left, since files whose password was not
/// shown are of no use.
pub fn run(options: &Options, output: &mut dyn Write) -> Result<(), InitError> {
    let (created, new) = make(options)?;
    let text = instructions(&created);
    output.write_all(text.as_bytes()).and_then(|()| output.flush()).map_err(InitError::Print)?;
    new.keep();
    Ok(())
}

/// Creates all files.
///
/// # Errors
///
/// Returns the reason of the failure; then no file is left.
pub fn create(options: &Options) -> Result<Created, InitError> {
    let (created, new) = make(options)?;
    new.keep();
    Ok(created)
}

/// Returns the instructions for the user, with the password.
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
    new.directory(&directory, DIRECTORY_MODE).map_err(InitError::Create)?;
    // The web configuration is written last: once it exists, the files that it names are complete.
    let contents = [
        (PRIVATE_MODE, key.as_slice()),
        (PUBLIC_MODE, &certificate),
        (PRIVATE_MODE, config.as_bytes()),
    ];
    for (path, (mode, content)) in files.iter().zip(contents) {
        new.file(path, mode, content).map_err(file_error)?;
    }
    let (files, listen_port) = (files.into(), options.listen_port);
    Ok((Created { directory, user: USER, password, hostnames, files, listen_port }, new))
}

/// Returns the error of a file that cannot be created: another program may have created it since it
/// was looked for.
fn file_error(error: CreateError) -> InitError {
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

/// Returns the absolute path of the directory, since Prometheus runs in another one.
///
/// Refuses a path with characters that YAML or a terminal does not show as they are.
fn absolute(directory: &Path) -> Result<PathBuf, InitError> {
    let refused = || InitError::Directory(directory.to_owned());
    let absolute = std::path::absolute(directory).map_err(|_| refused())?;
    let text = absolute.to_str().ok_or_else(refused)?;
    // U+2028 and U+2029 are not control characters, but YAML takes them for line breaks.
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(refused());
    }
    Ok(absolute)
}

fn random_password() -> Result<Zeroizing<String>, ErrorStack> {
    /// Bytes from this value on are dropped: their remainders would favour the first letters.
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
