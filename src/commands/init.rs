//! `init`: key, certificate, web configuration and password in place of openssl and htpasswd.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::certificate;
use crate::cli::InitArgs;

pub const WEB_CONFIG: &str = "web.yml";
const KEY: &str = "server.key";
const CERTIFICATE: &str = "server.crt";

/// Where the guard listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 9443;
const USER: &str = "prometheus";
const BCRYPT_COST: u32 = 10;

const PRIVATE: u32 = 0o600;
const PUBLIC: u32 = 0o644;
const DIRECTORY: u32 = 0o755;

/// Letters and digits that no shell, URL or YAML reads in a special way.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// More than 142 bits.
const PASSWORD_LEN: usize = 24;

pub struct Options {
    pub directory: PathBuf,
    pub hostnames: Vec<String>,
    pub rsa: bool,
    pub listen_port: u16,
}

/// What was made; the password is nowhere else.
pub struct Created {
    directory: PathBuf,
    hostnames: Vec<String>,
    password: Zeroizing<String>,
    listen_port: u16,
}

#[derive(Debug)]
pub enum InitError {
    /// Nothing was written.
    Exists(PathBuf),
    BadHostname(String),
    Io {
        path: PathBuf,
        cause: io::Error,
    },
    Crypto(ErrorStack),
    Bcrypt(bcrypt::BcryptError),
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists(path) => write!(
                f,
                "{} exists and is not overwritten: choose another --directory, or move it away",
                path.display()
            ),
            Self::BadHostname(name) => {
                write!(f, "--hostname {name:?} is neither a DNS name (RFC 1123) nor an IP address")
            }
            Self::Io { path, cause } => write!(f, "cannot write {}: {cause}", path.display()),
            Self::Crypto(cause) => write!(f, "cannot make the certificate: {cause}"),
            Self::Bcrypt(cause) => write!(f, "cannot hash the password: {cause}"),
        }
    }
}

impl std::error::Error for InitError {}

impl From<ErrorStack> for InitError {
    fn from(cause: ErrorStack) -> Self {
        Self::Crypto(cause)
    }
}

pub fn run(args: &InitArgs) -> Result<(), String> {
    let created = create(&Options {
        directory: args.directory.clone(),
        hostnames: args.hostnames.clone(),
        rsa: args.rsa,
        listen_port: DEFAULT_PORT,
    })
    .map_err(|error| error.to_string())?;
    print!("{}", instructions(&created));
    Ok(())
}

/// Make everything, or leave nothing behind.
pub fn create(options: &Options) -> Result<Created, InitError> {
    let hostnames = hostnames(&options.hostnames)?;
    let directory = &options.directory;
    if let Some(path) = [KEY, CERTIFICATE, WEB_CONFIG]
        .map(|name| directory.join(name))
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok())
    {
        return Err(InitError::Exists(path));
    }
    let key = certificate::generate_key(options.rsa)?;
    let certificate = certificate::self_signed(&key, &hostnames)?;
    let password = random_password()?;
    let hash = bcrypt::hash(password.as_bytes(), BCRYPT_COST).map_err(InitError::Bcrypt)?;

    let at = |cause| InitError::Io { path: directory.clone(), cause };
    DirBuilder::new().recursive(true).mode(DIRECTORY).create(directory).map_err(at)?;
    let mut written = Written::default();
    let key = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    written.write(&directory.join(KEY), PRIVATE, &key)?;
    written.write(&directory.join(CERTIFICATE), PUBLIC, &certificate.to_pem()?)?;
    written.write(&directory.join(WEB_CONFIG), PRIVATE, web_config(&hash).as_bytes())?;
    written.keep();
    Ok(Created {
        directory: std::path::absolute(directory).unwrap_or_else(|_| directory.clone()),
        hostnames,
        password,
        listen_port: options.listen_port,
    })
}

/// The names for the certificate: those given, or this host's; and loopback, always.
fn hostnames(given: &[String]) -> Result<Vec<String>, InitError> {
    if let Some(bad) = given.iter().find(|name| !is_hostname(name)) {
        return Err(InitError::BadHostname(bad.clone()));
    }
    let mut names = given.to_vec();
    if names.is_empty() {
        names.extend(own_hostname().filter(|name| is_hostname(name)));
    }
    for name in ["localhost", "127.0.0.1", "::1"] {
        if !names.iter().any(|own| own == name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

fn own_hostname() -> Option<String> {
    std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned())
}

/// An IP address or a name by RFC 1123 section 2.1. No wildcards: they would let one stolen key
/// pose as other hosts.
fn is_hostname(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(label))
}

fn random_password() -> Result<Zeroizing<String>, ErrorStack> {
    let mut password = Zeroizing::new(String::with_capacity(PASSWORD_LEN));
    let mut byte = [0];
    while password.len() < PASSWORD_LEN {
        openssl::rand::rand_bytes(&mut byte)?;
        // Bytes past the last whole multiple would favour the first letters.
        let limit = usize::from(u8::MAX) + 1 - (usize::from(u8::MAX) + 1) % ALPHABET.len();
        if usize::from(byte[0]) < limit {
            password.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
        }
    }
    Ok(password)
}

fn web_config(hash: &str) -> String {
    format!(
        "# Web configuration, read by exporter-guard and by exporters built on the Prometheus\n\
         # exporter-toolkit. Changes take effect at once.\n\
         tls_server_config:\n  cert_file: {CERTIFICATE}\n  key_file: {KEY}\n\n\
         # Another user: add a name and what `exporter-guard hash-password` prints.\n\
         basic_auth_users:\n  {USER}: {hash}\n"
    )
}

/// Files of this run, removed again unless all of them are written.
#[derive(Default)]
struct Written(Vec<PathBuf>);

impl Written {
    fn write(&mut self, path: &Path, mode: u32, content: &[u8]) -> Result<(), InitError> {
        let at = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AlreadyExists => InitError::Exists(path.to_owned()),
            _ => InitError::Io { path: path.to_owned(), cause },
        };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(at)?;
        self.0.push(path.to_owned());
        complete(&mut file, mode, content).map_err(at)
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

/// The mode again, since the umask may have taken from it.
fn complete(file: &mut File, mode: u32, content: &[u8]) -> io::Result<()> {
    file.set_permissions(PermissionsExt::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            // What cannot be removed is reported by the next run as existing.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What to do next, with the password, once.
pub fn instructions(created: &Created) -> String {
    let directory = created.directory.display();
    let host = created.hostnames.first().map_or("localhost", String::as_str);
    let target = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    let port = created.listen_port;
    let password = created.password.as_str();
    format!(
        "Made {KEY}, {CERTIFICATE} and {WEB_CONFIG} in {directory}\n\
         \n\
         Password of user {USER}, shown only now: {password}\n\
         \n\
         Start the guard in front of an exporter on port 9100:\n\
         \n\
         \x20 exporter-guard --web.config.file={directory}/{WEB_CONFIG} --upstream=http://127.0.0.1:9100\n\
         \n\
         Try it:\n\
         \n\
         \x20 curl --cacert {directory}/{CERTIFICATE} -u {USER}:{password} https://localhost:{port}/metrics\n\
         \n\
         Tell Prometheus (prometheus.yml; copy {CERTIFICATE} to its host, adapt ca_file):\n\
         \n\
         scrape_configs:\n\
         \x20 - job_name: exporter-guard\n\
         \x20   scheme: https\n\
         \x20   basic_auth:\n\
         \x20     username: {USER}\n\
         \x20     password: {password}\n\
         \x20   tls_config:\n\
         \x20     ca_file: {directory}/{CERTIFICATE}\n\
         \x20   static_configs:\n\
         \x20     - targets: ['{target}:{port}']\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_names_by_rfc_1123() {
        for good in ["a", "node-1.example.com", "10.0.0.1", "::1", "3com.example"] {
            assert!(is_hostname(good), "{good}");
        }
        for bad in [
            "",
            "-a",
            "a-",
            "a..b",
            "*.example.com",
            "a_b",
            "a b",
            "münchen.de",
            "a.",
            &"a".repeat(64),
        ] {
            assert!(!is_hostname(bad), "{bad}");
        }
    }

    #[test]
    fn a_failure_midway_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let mut written = Written::default();
        let first = directory.path().join("first");
        written.write(&first, PRIVATE, b"x").unwrap();
        assert!(written.write(&first, PRIVATE, b"y").is_err());
        drop(written);
        assert!(!first.exists());
    }
}
