//! How far an exporter is read ahead of the client that takes its answer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// The bytes that are read of an answer before the client's half of the request has taken any. While the
/// client does not read, the engine holds as many again, which that half took before.
pub const PIECE_BYTES: usize = 16 * 1024;

/// The same, until the head of the answer has come: what is read beyond it is not charged yet.
const HEAD_BYTES: usize = 4 * 1024;

/// The bytes of each further piece. The engine takes no more than five of them, and may need them for
/// something to take: the size of a chunk (RFC 9112 section 7.1) is not an answer yet.
const SMALL_PIECE_BYTES: usize = 1024;

/// The bytes of one answer that are read and not yet taken by the client's half of the request.
#[derive(Debug, Default)]
pub struct ReadAhead {
    untaken: AtomicUsize,
    /// Whether the head of the answer has come, and the memory for its body is charged.
    is_body: AtomicBool,
    /// Whether the client's half has been given the time to take them.
    has_yielded: AtomicBool,
}

impl ReadAhead {
    /// Returns how many bytes may be read now; `None` when the client's half is to run first.
    pub fn allowance(&self) -> Option<usize> {
        let most = if self.is_body.load(Relaxed) { PIECE_BYTES } else { HEAD_BYTES };
        let left = most.saturating_sub(self.untaken.load(Relaxed));
        if left == 0 && !self.has_yielded.swap(true, Relaxed) {
            return None;
        }
        Some(left.max(SMALL_PIECE_BYTES))
    }

    /// Begins the answer to a request.
    pub fn begin(&self) {
        self.is_body.store(false, Relaxed);
        self.taken();
    }

    /// Begins the body of the answer, for which there is memory.
    pub fn head_received(&self) {
        self.is_body.store(true, Relaxed);
        self.taken();
    }

    /// Counts bytes that were read.
    pub fn read(&self, bytes: usize) {
        self.untaken.fetch_add(bytes, Relaxed);
        self.has_yielded.store(false, Relaxed);
    }

    /// Counts everything that was read as taken: the client's half takes all that waits at once.
    pub fn taken(&self) {
        self.untaken.store(0, Relaxed);
        self.has_yielded.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_until_the_client_has_taken_the_others() {
        let read_ahead = ReadAhead::default();
        assert_eq!(read_ahead.allowance(), Some(HEAD_BYTES));
        read_ahead.read(HEAD_BYTES);
        assert_eq!((read_ahead.allowance(), read_ahead.allowance()), (None, Some(1024)));
        read_ahead.head_received();
        assert_eq!(read_ahead.allowance(), Some(PIECE_BYTES));
        read_ahead.read(PIECE_BYTES - 3000);
        assert_eq!(read_ahead.allowance(), Some(3000));
        read_ahead.read(3000);
        assert_eq!((read_ahead.allowance(), read_ahead.allowance()), (None, Some(1024)));
        read_ahead.read(1024);
        assert_eq!((read_ahead.allowance(), read_ahead.allowance()), (None, Some(1024)));
        read_ahead.taken();
        assert_eq!(read_ahead.allowance(), Some(PIECE_BYTES));
        read_ahead.begin();
        assert_eq!(read_ahead.allowance(), Some(HEAD_BYTES));
    }
}
