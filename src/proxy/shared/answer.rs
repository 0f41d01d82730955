//! An answer that several get: while it comes, and once it is whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;
use tokio::sync::watch;

use super::room::Room;
use super::{Key, Shared};

/// A larger one is streamed to the one who asked first, and the others ask themselves.
const LARGEST: usize = 16 * 1024 * 1024;

/// An answer of an exporter, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    at: Instant,
    /// As long as anybody has it.
    _room: Room,
}

impl Answer {
    /// Whole seconds for `Age` (RFC 9111 section 5.1).
    pub fn age(&self) -> u64 {
        self.at.elapsed().as_secs()
    }

    pub fn is_older_than(&self, age: Duration) -> bool {
        self.at.elapsed() >= age
    }
}

/// How a request that others wait for has ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    Pending,
    /// It has begun to come, at this time.
    Coming(Instant),
    Done(Arc<Answer>),
    /// One of those who wait has to ask.
    Failed,
    /// Each of those who wait has to ask: there is too much of it to share.
    TooLarge,
}

/// Without the space that was kept for more.
fn whole(body: BytesMut) -> Bytes {
    let is_tight = body.capacity() - body.len() <= body.len() / 4;
    if is_tight { body.freeze() } else { Bytes::copy_from_slice(&body) }
}

/// The request that is forwarded. However it ends, those who wait are told.
pub struct Leading {
    shared: Arc<Shared>,
    key: Key,
    cache_for: Duration,
    outcome: watch::Sender<Outcome>,
    head: Option<(StatusCode, HeaderMap)>,
    body: BytesMut,
    /// `None` once it is over.
    room: Option<Room>,
}

impl Outcome {
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Coming(_))
    }
}

impl Leading {
    pub(super) fn new(
        shared: &Arc<Shared>,
        key: Key,
        cache_for: Duration,
        outcome: watch::Sender<Outcome>,
        room: Room,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            key,
            cache_for,
            outcome,
            head: None,
            body: BytesMut::new(),
            room: Some(room),
        }
    }

    /// As it goes to the one who asked.
    pub fn response(&mut self, response: &ResponseHeader) {
        if response.status.is_informational() {
            return;
        }
        let mut headers = response.headers.clone();
        let length: Option<usize> =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_empty = length == Some(0)
            || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status);
        self.body.reserve(length.unwrap_or_default().min(LARGEST));
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            headers.remove(name);
        }
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.head = Some((response.status, headers));
        if !self.takes(bytes) {
            self.end(Outcome::TooLarge);
        } else if is_empty {
            // No body, and no end of one, will be told.
            self.finish();
        } else {
            self.outcome.send_replace(Outcome::Coming(Instant::now()));
        }
    }

    pub fn body(&mut self, piece: Option<&Bytes>, is_end: bool) {
        if let Some(piece) = piece {
            if self.body.len() + piece.len() > LARGEST || !self.takes(piece.len()) {
                return self.end(Outcome::TooLarge);
            }
            self.body.extend_from_slice(piece);
        }
        if is_end {
            self.finish();
        }
    }

    fn takes(&mut self, bytes: usize) -> bool {
        self.room.as_mut().is_some_and(|room| room.take(bytes))
    }

    fn finish(&mut self) {
        let Some((status, headers)) = self.head.take() else { return self.end(Outcome::Failed) };
        let Some(room) = self.room.take() else { return };
        let body = whole(std::mem::take(&mut self.body));
        let answer = Arc::new(Answer { status, headers, body, at: Instant::now(), _room: room });
        let is_kept = status == StatusCode::OK && !self.cache_for.is_zero();
        let kept = is_kept.then(|| (Arc::clone(&answer), self.cache_for));
        self.shared.settle(&self.key, kept);
        self.outcome.send_replace(Outcome::Done(answer));
    }

    /// Without an answer that could be given to others.
    fn end(&mut self, outcome: Outcome) {
        if self.room.take().is_some() {
            self.body = BytesMut::new();
            self.shared.settle(&self.key, None);
            self.outcome.send_replace(outcome);
        }
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        self.end(Outcome::Failed);
    }
}
