//! The memory of an answer that is on its way from the exporter to a client.

use http::header::CONTENT_LENGTH;
use pingora::http::ResponseHeader;
use pingora::proxy::{FailToProxy, Session};

use super::refusal::Refusal;
use super::{Context, Guard};
use crate::connection::budget::Charge;
use crate::connection::{MAX_SEND_BUFFER, PIECE_BYTES, Peer, WIDE_PIECE_BYTES};

/// The bytes of a forwarded request beside those of every request: the connection to the exporter, and
/// the head of the answer.
const FORWARDED_BYTES: usize = 12 * 1024;

/// The bytes of an answer's body that the engine holds at most: a piece that the client's half of the
/// request has taken, one that was read after that, the buffer that it was read to, and small pieces.
const MAX_BODY_BYTES: usize = 3 * PIECE_BYTES + SMALL_PIECES;

/// The same for a client that has kept up, with what waits in the engine's HTTP/2 connection.
const WIDE_BODY_BYTES: usize = 3 * WIDE_PIECE_BYTES + SMALL_PIECES + MAX_SEND_BUFFER;

/// The small pieces that are read when a client falls behind, before and after its half takes some.
const SMALL_PIECES: usize = 10 * 1024;

/// The buffer that the engine reads the body of a request to.
const UPLOAD_BUFFER: usize = 64 * 1024;

/// The bytes of a request's body that the engine holds at most for an exporter that does not take it: four
/// pieces of 64 KiB, and a copy of the first.
const MAX_UPLOAD_BYTES: usize = 5 * 64 * 1024;

/// The memory of one answer, given back with the request.
#[derive(Debug)]
pub struct Unsent {
    /// The bytes that are charged for the request.
    forwarded: usize,
    /// The bytes of the request's body that have been read.
    uploaded: usize,
    /// The bytes that are charged for the body of the answer.
    answered: usize,
    is_http2: bool,
    charge: Charge,
}

impl Unsent {
    /// Begins without memory: the request is not forwarded yet.
    pub fn new(peer: &Peer) -> Self {
        let (is_http2, charge) = (peer.is_stream(), peer.memory.empty_charge());
        Self { forwarded: 0, uploaded: 0, answered: 0, is_http2, charge }
    }

    /// Charges what a request takes that is forwarded, without its body. False when the budget does not
    /// have the memory.
    pub fn forward(&mut self) -> bool {
        self.grow(FORWARDED_BYTES, self.answered)
    }

    /// Charges what the body of the request takes, of which `bytes` more have been read. A slow body
    /// costs no more than has come of it. False when the budget does not have the memory.
    pub fn upload(&mut self, bytes: usize) -> bool {
        self.uploaded = self.uploaded.saturating_add(bytes);
        // The pieces, and the copy.
        let held = self.uploaded.saturating_mul(2).min(MAX_UPLOAD_BYTES);
        self.grow(FORWARDED_BYTES + UPLOAD_BUFFER + held, self.answered)
    }

    fn grow(&mut self, forwarded: usize, answered: usize) -> bool {
        let has_grown = self.charge.grow_to(forwarded + answered);
        if has_grown {
            (self.forwarded, self.answered) = (forwarded, answered);
        }
        has_grown
    }

    /// Charges what the body of an answer may take, before it is read. False when the budget does not
    /// have the memory.
    pub fn answer(&mut self, response: &ResponseHeader) -> bool {
        let most = MAX_BODY_BYTES + if self.is_http2 { MAX_SEND_BUFFER } else { 0 };
        let length = response.headers.get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let body = most.min(length.unwrap_or(usize::MAX));
        self.grow(self.forwarded, body)
    }

    /// Charges what the body may take in larger pieces. False when the budget does not have the memory;
    /// the pieces then stay small.
    pub fn widen(&mut self) -> bool {
        self.grow(self.forwarded, WIDE_BODY_BYTES)
    }
}

impl Guard {
    /// Ends a request whose answer takes more memory than there is: with 503 if nothing of the answer
    /// was sent, and by closing the connection or the stream otherwise.
    pub(super) async fn out_of_memory(
        &self,
        session: &mut Session,
        context: &mut Context,
    ) -> FailToProxy {
        let started = session.response_written().is_some_and(|r| !r.status.is_informational());
        session.set_keepalive(None);
        if started {
            self.count_refusal(context, &Refusal::NoMemory);
        } else {
            // A failed write means that the client has left, and with it the need for an answer.
            let _ = self.refuse(session, context, Refusal::NoMemory).await;
        }
        FailToProxy { error_code: Refusal::NoMemory.status(), can_reuse_downstream: false }
    }
}
