//! Who may pass: reads the credentials out of header bytes, decides, and hands out a [`Permit`].
//!
//! Owns the cache of passwords that were right and the threads that run bcrypt. Knows nothing of
//! HTTP sessions beyond the bytes of one header.

mod basic;
mod bcrypt_hash;
mod users;
mod verifier;

pub use basic::Credentials;
pub use users::Users;
pub use verifier::Verifier;

/// Evidence that a request was authorized. Only this module makes one, and the step that picks an
/// upstream takes one: a forgotten check does not compile into a proxied request.
#[derive(Debug)]
#[must_use]
pub struct Permit(());

/// Why a request was not authorized. Never holds what the client sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No `Authorization` header.
    NoCredentials,
    /// Not one well-formed `Basic` header (RFC 7617).
    Malformed,
    /// Unknown user or wrong password: the client is not told which, and neither is the log.
    WrongCredentials,
    /// Too many passwords are waiting to be checked.
    Busy,
}

impl Denial {
    /// The reason as the log and the metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            Denial::NoCredentials => "no credentials",
            Denial::Malformed => "malformed credentials",
            Denial::WrongCredentials => "wrong credentials",
            Denial::Busy => "too many logins in progress",
        }
    }
}

/// Decide by the users of the snapshot. No users means no authentication, as the
/// exporter-toolkit has it.
pub async fn authorize(
    users: &Users,
    verifier: &Verifier,
    authorization: &[&[u8]],
) -> Result<Permit, Denial> {
    if users.is_empty() {
        return Ok(Permit(()));
    }
    let header = match authorization {
        [] => return Err(Denial::NoCredentials),
        [one] => one,
        _ => return Err(Denial::Malformed),
    };
    let credentials = Credentials::parse(header).ok_or(Denial::Malformed)?;
    users.check(credentials, verifier).await
}

/// For a path that the configuration declares public (`proxy.public_paths`).
pub fn public(declared: PublicPath) -> Permit {
    let PublicPath(()) = declared;
    Permit(())
}

/// That a path is one of `proxy.public_paths`; made by [`PublicPaths::find`] alone.
#[derive(Debug)]
pub struct PublicPath(());

/// The exact paths that are answered without credentials; none by default.
#[derive(Debug, Default)]
pub struct PublicPaths(std::collections::HashSet<Vec<u8>>);

impl PublicPaths {
    pub fn new(paths: &[String]) -> Self {
        Self(paths.iter().map(|path| path.clone().into_bytes()).collect())
    }

    /// Compares the bytes the upstream will see: no decoding, no normalisation.
    pub fn find(&self, path: &[u8]) -> Option<PublicPath> {
        self.0.contains(path).then_some(PublicPath(()))
    }
}
