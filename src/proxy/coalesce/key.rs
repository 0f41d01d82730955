//! The key of a request: requests with the same key have the same answer.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderValue, Method};
use pingora::http::RequestHeader;

use crate::auth::Identity;
use crate::proxy::headers;
use crate::upstream::SCRAPE_TIMEOUT;

/// The fields of requests that are never shared: partial and conditional ones, and ones with a
/// body.
const UNSHARED_FIELDS: [HeaderName; 9] = [
    RANGE,
    IF_RANGE,
    IF_MATCH,
    IF_NONE_MATCH,
    IF_MODIFIED_SINCE,
    IF_UNMODIFIED_SINCE,
    EXPECT,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
];

/// The request fields that an answer may depend on, beside the target and the host.
pub const KEYED: [HeaderName; 3] = [ACCEPT, ACCEPT_ENCODING, SCRAPE_TIMEOUT];

/// Bytes that the table and the allocator need for one entry, about.
const ENTRY_OVERHEAD: usize = 256;

/// The callers that an answer may be given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Every caller that is authorized.
    Everybody,
    /// The callers with this identity.
    One(Identity),
    /// No other caller: without credentials, callers cannot be told apart.
    Unknown,
}

/// The configuration, the route and the scheme that a request came by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The generation of the snapshot.
    pub generation: u64,
    /// The name of the route.
    pub route: String,
    /// True if the client uses TLS, which the exporter sees in `X-Forwarded-Proto`.
    pub is_tls: bool,
}

/// Everything of a request that decides its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    scope: Scope,
    target: Vec<u8>,
    host: Vec<u8>,
    /// The values of the [`KEYED`] fields.
    fields: Vec<(HeaderName, HeaderValue)>,
    /// `None`: the answer is the same for everybody.
    identity: Option<Identity>,
}

impl Key {
    /// Builds the key of a request; `None` when its answer is never shared.
    pub fn of(request: &RequestHeader, scope: Scope, audience: &Audience) -> Option<Self> {
        let identity = match audience {
            Audience::Everybody => None,
            Audience::One(identity) => Some(identity.clone()),
            Audience::Unknown => return None,
        };
        let is_unshared = UNSHARED_FIELDS.iter().any(|name| request.headers.contains_key(name));
        if request.method != Method::GET || is_unshared {
            return None;
        }
        // A field that `Connection` names does not reach the exporter.
        let forwarded = KEYED.into_iter().filter(|name| !headers::is_hop_by_hop(request, name));
        let fields = forwarded.flat_map(|name| {
            let values = request.headers.get_all(&name).iter().cloned();
            values.map(move |value| (name.clone(), value)).collect::<Vec<_>>()
        });
        Some(Self {
            scope,
            target: request.raw_path().to_vec(),
            host: headers::host(request).unwrap_or_default(),
            fields: fields.collect(),
            identity,
        })
    }

    /// Returns how many bytes of memory the key takes, about.
    pub fn bytes(&self) -> usize {
        let fields: usize = self.fields.iter().map(|(_, value)| value.len()).sum();
        ENTRY_OVERHEAD
            + size_of::<Self>()
            + self.scope.route.len()
            + self.target.len()
            + self.host.len()
            + fields
    }
}
