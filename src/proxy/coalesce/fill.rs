//! The answer of an exporter on its way to several requests, and once it is whole.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;
use tokio::sync::watch;

use super::{Coalescer, Key};
use crate::connection::budget::SharedReservation;

/// A larger answer is streamed to the request that fetches it alone, and the requests that wait for it
/// are forwarded, too.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A whole answer of an exporter.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: StatusCode,
    /// The fields, without those of the framing.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    completed: Instant,
    /// Held for as long as anybody has the answer.
    _reservation: SharedReservation,
}

impl Answer {
    /// Returns the whole seconds since the answer was complete, for `Age` (RFC 9111 section 5.1).
    pub fn age(&self) -> u64 {
        self.completed.elapsed().as_secs()
    }

    /// Returns whether the answer was complete so long ago.
    pub fn is_older_than(&self, age: Duration) -> bool {
        self.completed.elapsed() >= age
    }
}

/// The progress of a request that others wait for.
#[derive(Debug, Clone)]
pub enum FillState {
    /// The exporter has not answered yet.
    Pending,
    /// The answer has begun to arrive, at this time.
    Arriving(Instant),
    /// The answer is whole.
    Done(Arc<Answer>),
    /// There is no answer: one of the requests that wait is forwarded.
    Failed,
    /// There is too much of it to share: each request that waits is forwarded.
    TooLarge,
}

impl FillState {
    /// Returns whether the state does not change any more.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Arriving(_))
    }
}

/// The request that is forwarded for all. However it ends, the requests that wait are told.
pub struct CacheFill {
    coalescer: Arc<Coalescer>,
    key: Key,
    cache_for: Duration,
    state: watch::Sender<FillState>,
    head: Option<(StatusCode, HeaderMap)>,
    body: BytesMut,
    /// `None` once the state is final.
    reservation: Option<SharedReservation>,
}

impl CacheFill {
    pub(super) fn new(
        coalescer: &Arc<Coalescer>,
        key: Key,
        cache_for: Duration,
        state: watch::Sender<FillState>,
        reservation: SharedReservation,
    ) -> Self {
        Self {
            coalescer: Arc::clone(coalescer),
            key,
            cache_for,
            state,
            head: None,
            body: BytesMut::new(),
            reservation: Some(reservation),
        }
    }

    /// Takes the head of the answer, as it goes to the request that is forwarded.
    pub fn response(&mut self, response: &ResponseHeader) {
        if response.status.is_informational() {
            return;
        }
        let mut headers = response.headers.clone();
        let length: Option<usize> =
            headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let is_empty = length == Some(0)
            || [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&response.status);
        self.body.reserve(length.unwrap_or_default().min(MAX_ANSWER_BYTES));
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            headers.remove(name);
        }
        let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.head = Some((response.status, headers));
        if !self.reserve(bytes) {
            self.end(FillState::TooLarge);
        } else if is_empty {
            // The engine announces no body, and so no end of one.
            self.finish();
        } else {
            self.state.send_replace(FillState::Arriving(Instant::now()));
        }
    }

    /// Takes a piece of the body.
    pub fn body(&mut self, piece: Option<&Bytes>, is_end: bool) {
        if let Some(piece) = piece {
            if self.body.len() + piece.len() > MAX_ANSWER_BYTES || !self.reserve(piece.len()) {
                return self.end(FillState::TooLarge);
            }
            self.body.extend_from_slice(piece);
        }
        if is_end {
            self.finish();
        }
    }

    fn reserve(&mut self, bytes: usize) -> bool {
        self.reservation.as_mut().is_some_and(|reservation| reservation.grow(bytes))
    }

    fn finish(&mut self) {
        let Some((status, headers)) = self.head.take() else { return self.end(FillState::Failed) };
        let Some(reservation) = self.reservation.take() else { return };
        let answer = Arc::new(Answer {
            status,
            headers,
            body: without_spare_capacity(std::mem::take(&mut self.body)),
            completed: Instant::now(),
            _reservation: reservation,
        });
        let is_cached = status == StatusCode::OK && !self.cache_for.is_zero();
        let cached = is_cached.then(|| (Arc::clone(&answer), self.cache_for));
        self.coalescer.settle(&self.key, cached);
        self.state.send_replace(FillState::Done(answer));
    }

    /// Ends without an answer that could be given to others.
    fn end(&mut self, state: FillState) {
        if self.reservation.take().is_some() {
            self.body = BytesMut::new();
            self.coalescer.settle(&self.key, None);
            self.state.send_replace(state);
        }
    }
}

impl Drop for CacheFill {
    fn drop(&mut self) {
        self.end(FillState::Failed);
    }
}

/// Copies a body whose buffer is more than a quarter larger than it.
fn without_spare_capacity(body: BytesMut) -> Bytes {
    let is_tight = body.capacity() - body.len() <= body.len() / 4;
    if is_tight { body.freeze() } else { Bytes::copy_from_slice(&body) }
}
