//! Which requests are the same.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_LENGTH, EXPECT, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderValue, Method};
use pingora::http::RequestHeader;

use crate::auth::Identity;
use crate::proxy::headers;
use crate::upstream::SCRAPE_TIMEOUT;

/// What makes a request more than a plain question.
const PARTICULAR: [HeaderName; 9] = [
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

/// What an answer may depend on beside target and host.
pub const KEYED: [HeaderName; 3] = [ACCEPT, ACCEPT_ENCODING, SCRAPE_TIMEOUT];

/// Of an entry: what the table and the allocator need for it.
const OVERHEAD: usize = 256;

/// Who an answer may be given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    Everybody,
    One(Identity),
    /// Without credentials one cannot be told from another.
    Unknown,
}

/// Requests with the same key have the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    generation: u64,
    route: String,
    target: Vec<u8>,
    host: Vec<u8>,
    accepted: Vec<(HeaderName, HeaderValue)>,
    /// `None`: the same for all.
    identity: Option<Identity>,
}

impl Key {
    /// `None` for a request that is never shared.
    pub fn of(
        request: &RequestHeader,
        route: &str,
        generation: u64,
        audience: &Audience,
    ) -> Option<Self> {
        let identity = match audience {
            Audience::Everybody => None,
            Audience::One(identity) => Some(identity.clone()),
            Audience::Unknown => return None,
        };
        let is_particular = PARTICULAR.iter().any(|name| request.headers.contains_key(name));
        if request.method != Method::GET || is_particular {
            return None;
        }
        let accepted = KEYED.into_iter().flat_map(|name| {
            let values = request.headers.get_all(&name).iter().cloned();
            values.map(move |value| (name.clone(), value)).collect::<Vec<_>>()
        });
        Some(Self {
            generation,
            route: route.to_owned(),
            target: request.raw_path().to_vec(),
            host: headers::host(request).unwrap_or_default(),
            accepted: accepted.collect(),
            identity,
        })
    }

    /// What it takes in memory, about.
    pub fn bytes(&self) -> usize {
        let accepted: usize = self.accepted.iter().map(|(_, value)| value.len()).sum();
        OVERHEAD
            + size_of::<Self>()
            + self.route.len()
            + self.target.len()
            + self.host.len()
            + accepted
    }
}
