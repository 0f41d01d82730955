//! Who asks, by all that it has shown.

use std::net::SocketAddr;

use super::{Credentials, Origin, Refusal, Tokens, Users, Verifier};
use crate::tls::ClientNames;

#[derive(Debug)]
pub struct Caller<'a> {
    pub(super) identity: Identity,
    pub(super) address: Option<SocketAddr>,
    /// Of its certificate, if that was verified.
    pub(super) names: Option<&'a ClientNames>,
}

/// By its `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    Nobody,
    User(Vec<u8>),
    /// The token's name.
    Token(String),
}

#[cfg(test)]
impl<'a> Caller<'a> {
    pub fn of(
        identity: Identity,
        address: Option<SocketAddr>,
        names: Option<&'a ClientNames>,
    ) -> Self {
        Self { identity, address, names }
    }
}

impl Caller<'_> {
    /// `None` without credentials.
    pub fn identity(&self) -> Option<&Identity> {
        self.has_credentials().then_some(&self.identity)
    }

    /// Whether it has shown credentials; they are right, or there were no caller.
    pub fn has_credentials(&self) -> bool {
        self.identity != Identity::Nobody
    }
}

/// Check what the header claims. Wrong credentials are an error, also where none are needed.
pub async fn authenticate<'a>(
    (users, tokens): (&Users, &Tokens),
    verifier: &Verifier,
    origin: Origin,
    authorization: &[&[u8]],
    (address, names): (Option<SocketAddr>, Option<&'a ClientNames>),
) -> Result<Caller<'a>, Refusal> {
    let identity = match authorization {
        [] => Identity::Nobody,
        [header] => match Tokens::read(header) {
            Some(token) => Identity::Token(tokens.check(token, verifier, origin).await?.to_owned()),
            None => {
                let credentials = Credentials::parse(header).ok_or(Refusal::Malformed)?;
                if users.is_empty() {
                    return Err(Refusal::WrongCredentials);
                }
                let user = credentials.user().to_vec();
                users.check(credentials, verifier, origin).await?;
                Identity::User(user)
            }
        },
        _ => return Err(Refusal::Malformed),
    };
    Ok(Caller { identity, address, names })
}
