//! The client of a request, by everything that it has shown.

use std::net::SocketAddr;

use super::{Credentials, Origin, Refusal, Tokens, Users, Verifier};
use crate::config::ClientNetwork;
use crate::tls::ClientNames;

/// A client whose credentials, if it has shown any, are right.
#[derive(Debug)]
pub struct Caller<'a> {
    pub(super) identity: Identity,
    /// `None` on a unix socket.
    pub(super) address: Option<SocketAddr>,
    /// The names in its certificate, if that was verified.
    pub(super) names: Option<&'a ClientNames>,
}

/// The identity that the `Authorization` field of a request proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Identity {
    /// No credentials were shown.
    Nobody,
    /// A user of `basic_auth_users`.
    User(Vec<u8>),
    /// A bearer token, by its name.
    Token(String),
}

/// The one that a request counts for where clients share something: the caller, or else its client
/// network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Requester {
    /// A user or a token.
    Identity(Identity),
    /// A verified client certificate, by its first name.
    Certificate(String),
    /// A client that has shown nothing.
    Network(ClientNetwork),
}

/// Everything that a client has shown with a request.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'h, 'a> {
    /// The values of the `Authorization` fields.
    pub authorization: &'h [&'h [u8]],
    /// The address of the client; `None` on a unix socket.
    pub address: Option<SocketAddr>,
    /// The names in its certificate, if that was verified.
    pub names: Option<&'a ClientNames>,
}

#[cfg(test)]
impl<'a> Caller<'a> {
    /// Builds a caller for tests, without a check of credentials.
    pub fn of(
        identity: Identity,
        address: Option<SocketAddr>,
        names: Option<&'a ClientNames>,
    ) -> Self {
        Self { identity, address, names }
    }
}

impl<'a> Caller<'a> {
    /// Describes a client whose credentials are not looked at.
    pub fn without_credentials(presented: &Presented<'_, 'a>) -> Self {
        Self { identity: Identity::Nobody, address: presented.address, names: presented.names }
    }

    /// Returns the identity that the credentials prove; `None` without credentials.
    pub fn identity(&self) -> Option<&Identity> {
        self.has_credentials().then_some(&self.identity)
    }

    /// Returns whom the request counts for.
    pub fn requester(&self) -> Requester {
        match (self.identity(), self.names) {
            (Some(identity), _) => Requester::Identity(identity.clone()),
            (None, Some(names)) => {
                Requester::Certificate(names.first().unwrap_or_default().to_owned())
            }
            (None, None) => Requester::Network(ClientNetwork::of(self.address)),
        }
    }

    /// Returns whether the client has shown credentials; wrong ones make no caller.
    pub fn has_credentials(&self) -> bool {
        self.identity != Identity::Nobody
    }
}

/// Checks the credentials of a request against the users and tokens of a configuration. Wrong
/// credentials are refused also where none are needed.
///
/// # Errors
///
/// Returns the reason why the credentials are not right, or why they cannot be checked now.
pub async fn authenticate<'a>(
    (users, tokens): (&Users, &Tokens),
    verifier: &Verifier,
    origin: Origin,
    presented: &Presented<'_, 'a>,
) -> Result<Caller<'a>, Refusal> {
    let identity = match presented.authorization {
        [] => Identity::Nobody,
        // Without tokens in the configuration, no scheme but Basic is known.
        [header] => match Tokens::read(header).filter(|_| !tokens.is_empty()) {
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
    Ok(Caller { identity, address: presented.address, names: presented.names })
}
