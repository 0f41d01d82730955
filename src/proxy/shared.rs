//! Scrapes that are shared (`coalesce`, `cache_for`): of identical requests one is forwarded, and its
//! answer is given to all.
//!
//! Identical are requests of the same route, target, `Accept` and `Accept-Encoding` under the same
//! configuration, and of the same identity unless the route says that all get the same. Who is
//! given an answer was admitted like everybody else.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, IF_MATCH,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::watch;

use crate::auth::Identity;
use crate::config::routes::Sharing;
use crate::metrics::Metrics;

/// Of one answer; a larger one is streamed to the one who asked first, and the others ask
/// themselves.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Of all answers that are kept.
const MOST_KEPT: usize = 64 * 1024 * 1024;

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
        let accepted = [ACCEPT, ACCEPT_ENCODING].into_iter().flat_map(|name| {
            let values = request.headers.get_all(&name).iter().cloned();
            values.map(move |value| (name.clone(), value)).collect::<Vec<_>>()
        });
        Some(Self {
            generation,
            route: route.to_owned(),
            target: request.raw_path().to_vec(),
            accepted: accepted.collect(),
            identity,
        })
    }
}

/// An answer of an exporter, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    at: Instant,
}

impl Answer {
    /// Whole seconds for `Age` (RFC 9111 section 5.1).
    pub fn age(&self) -> u64 {
        self.at.elapsed().as_secs()
    }
}

/// How a request that others wait for has ended.
#[derive(Debug, Clone)]
enum Outcome {
    Pending,
    Done(Arc<Answer>),
    /// Those who wait have to ask themselves.
    Failed,
}

/// What a request has to do.
pub enum Turn {
    /// Ask the exporter; the answer is for the others, too.
    Lead(Box<Leading>),
    /// Give this answer.
    Answer(Arc<Answer>),
}

enum Slot {
    InFlight(watch::Receiver<Outcome>),
    Kept(Arc<Answer>, Duration),
}

impl Slot {
    fn has_expired(&self) -> bool {
        match self {
            Self::InFlight(_) => false,
            Self::Kept(answer, cache_for) => answer.at.elapsed() >= *cache_for,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::InFlight(_) => 0,
            Self::Kept(answer, _) => answer.body.len(),
        }
    }
}

/// All that is asked and kept at this time.
#[derive(Default)]
pub struct Shared(Mutex<HashMap<Key, Slot>>);

impl Shared {
    /// Wait for an answer that is on its way, for this long at most, or be the one to fetch it.
    /// `None`: it did not come in time.
    pub async fn turn(
        self: &Arc<Self>,
        key: Key,
        sharing: Sharing,
        patience: Duration,
        metrics: &Metrics,
    ) -> Option<Turn> {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            let mut waiting = match self.look(&key, sharing) {
                Found::Turn(turn) => {
                    if matches!(turn, Turn::Answer(_)) {
                        metrics.request_shared();
                    }
                    return Some(turn);
                }
                Found::InFlight(waiting) => {
                    metrics.request_shared();
                    waiting
                }
            };
            let outcome = waiting.wait_for(|outcome| !matches!(outcome, Outcome::Pending));
            match tokio::time::timeout_at(deadline, outcome).await {
                Ok(Ok(outcome)) => {
                    if let Outcome::Done(answer) = &*outcome {
                        return Some(Turn::Answer(Arc::clone(answer)));
                    }
                }
                // Gone without a word.
                Ok(Err(_)) => {}
                Err(_) => return None,
            }
        }
    }

    fn look(self: &Arc<Self>, key: &Key, sharing: Sharing) -> Found {
        let mut slots = self.lock();
        match slots.get(key) {
            Some(Slot::InFlight(waiting)) => return Found::InFlight(waiting.clone()),
            Some(slot @ Slot::Kept(answer, _)) if !slot.has_expired() => {
                return Found::Turn(Turn::Answer(Arc::clone(answer)));
            }
            _ => {}
        }
        let (outcome, waiting) = watch::channel(Outcome::Pending);
        slots.insert(key.clone(), Slot::InFlight(waiting));
        Found::Turn(Turn::Lead(Box::new(Leading {
            shared: Arc::clone(self),
            key: key.clone(),
            cache_for: sharing.cache_for,
            outcome,
            head: None,
            body: BytesMut::new(),
            is_over: false,
        })))
    }

    /// What was in flight is done: kept when there is a time for it and room.
    fn settle(&self, key: &Key, kept: Option<(Arc<Answer>, Duration)>) {
        let mut slots = self.lock();
        slots.remove(key);
        slots.retain(|_, slot| !slot.has_expired());
        let taken: usize = slots.values().map(Slot::bytes).sum();
        if let Some((answer, cache_for)) = kept
            && taken + answer.body.len() <= MOST_KEPT
        {
            slots.insert(key.clone(), Slot::Kept(answer, cache_for));
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Found {
    Turn(Turn),
    InFlight(watch::Receiver<Outcome>),
}

/// The request that is forwarded. However it ends, those who wait are told.
pub struct Leading {
    shared: Arc<Shared>,
    key: Key,
    cache_for: Duration,
    outcome: watch::Sender<Outcome>,
    head: Option<(StatusCode, HeaderMap)>,
    body: BytesMut,
    is_over: bool,
}

impl Leading {
    /// As it goes to the one who asked.
    pub fn response(&mut self, response: &ResponseHeader) {
        if response.status.is_informational() {
            return;
        }
        let mut headers = response.headers.clone();
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            headers.remove(name);
        }
        self.head = Some((response.status, headers));
    }

    pub fn body(&mut self, piece: Option<&Bytes>, is_end: bool) {
        if self.is_over {
            return;
        }
        if let Some(piece) = piece {
            if self.body.len() + piece.len() > LARGEST_ANSWER {
                return self.give_up();
            }
            self.body.extend_from_slice(piece);
        }
        if is_end {
            self.finish();
        }
    }

    fn finish(&mut self) {
        let Some((status, headers)) = self.head.take() else { return self.give_up() };
        let body = std::mem::take(&mut self.body).freeze();
        let answer = Arc::new(Answer { status, headers, body, at: Instant::now() });
        let is_kept = status == StatusCode::OK && !self.cache_for.is_zero();
        let kept = is_kept.then(|| (Arc::clone(&answer), self.cache_for));
        self.is_over = true;
        self.shared.settle(&self.key, kept);
        self.outcome.send_replace(Outcome::Done(answer));
    }

    fn give_up(&mut self) {
        self.is_over = true;
        self.body = BytesMut::new();
        self.shared.settle(&self.key, None);
        self.outcome.send_replace(Outcome::Failed);
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        if !self.is_over {
            self.give_up();
        }
    }
}
