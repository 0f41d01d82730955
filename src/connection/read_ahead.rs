//! Limits how far an exporter is read ahead of the client that takes its answer.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};

/// The bytes that are read of an answer before the client's half of the request has taken any. While the
/// client does not read, the engine holds as many again, which that half took before.
pub const PIECE_BYTES: usize = 16 * 1024;

/// The same for a client that has kept up so far, and for which the memory is charged.
pub const WIDE_PIECE_BYTES: usize = 64 * 1024;

/// The pieces that a client takes at once before it counts as one that keeps up.
const KEPT_UP: u32 = 4;

/// The turns that the client's half gets to take what was read. The halves of a request run in alternating
/// order, so that the first turn may come before that half knows of a piece.
const TURNS: u32 = 2;

/// The same, until the head of the answer has come: what is read beyond it is not charged yet.
const HEAD_BYTES: usize = 4 * 1024;

/// The bytes of each further piece. The engine takes no more than five of them, and may need them for
/// something to take: the size of a chunk (RFC 9112 section 7.1) is not an answer yet.
const SMALL_PIECE_BYTES: usize = 1024;

/// The bytes of one answer that are read and not yet taken by the client's half of the request.
#[derive(Debug, Default)]
pub struct ReadAhead {
    untaken: AtomicUsize,
    /// True if the head of the answer has come, and the memory for its body is charged.
    is_body: AtomicBool,
    /// The turns that the client's half has been given to take them.
    turns: AtomicU32,
    /// The pieces that the client's half has taken at once, one after the other.
    kept_up: AtomicU32,
    is_wide: AtomicBool,
}

impl ReadAhead {
    /// Returns how many bytes may be read now; `None` when the client's half is to run first.
    pub fn allowance(&self) -> Option<usize> {
        let most = match (self.is_body.load(Relaxed), self.is_wide.load(Relaxed)) {
            (false, _) => HEAD_BYTES,
            (true, false) => PIECE_BYTES,
            (true, true) => WIDE_PIECE_BYTES,
        };
        let left = most.saturating_sub(self.untaken.load(Relaxed));
        if left > 0 {
            return Some(left);
        }
        if self.turns.fetch_add(1, Relaxed) < TURNS {
            return None;
        }
        self.kept_up.store(0, Relaxed);
        self.is_wide.store(false, Relaxed);
        Some(SMALL_PIECE_BYTES)
    }

    /// Begins the answer to a request.
    pub fn begin(&self) {
        self.is_body.store(false, Relaxed);
        self.is_wide.store(false, Relaxed);
        self.kept_up.store(0, Relaxed);
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
        self.turns.store(0, Relaxed);
    }

    /// Returns whether larger pieces are worth their memory: the client has taken the last ones at once.
    pub fn keeps_up(&self) -> bool {
        self.kept_up.load(Relaxed) >= KEPT_UP && !self.is_wide.load(Relaxed)
    }

    /// Reads pieces of [`WIDE_PIECE_BYTES`], for which there is memory, while the client keeps up.
    pub fn widen(&self) {
        self.is_wide.store(true, Relaxed);
    }

    /// Counts everything that was read as taken: the client's half takes all that waits at once.
    pub fn taken(&self) {
        if self.untaken.swap(0, Relaxed) > 0 {
            self.kept_up.fetch_add(1, Relaxed);
        }
        self.turns.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what may be read once the client's half has had its turns.
    fn after_turns(read_ahead: &ReadAhead) -> Option<usize> {
        assert_eq!((read_ahead.allowance(), read_ahead.allowance()), (None, None));
        read_ahead.allowance()
    }

    #[test]
    fn pieces_are_small_until_the_client_has_taken_the_others() {
        let read_ahead = ReadAhead::default();
        assert_eq!(read_ahead.allowance(), Some(HEAD_BYTES));
        read_ahead.read(HEAD_BYTES);
        assert_eq!(after_turns(&read_ahead), Some(1024));
        read_ahead.head_received();
        assert_eq!(read_ahead.allowance(), Some(PIECE_BYTES));
        read_ahead.read(PIECE_BYTES - 3000);
        assert_eq!(read_ahead.allowance(), Some(3000));
        read_ahead.read(3000);
        assert_eq!(after_turns(&read_ahead), Some(1024));
        read_ahead.read(1024);
        assert_eq!(after_turns(&read_ahead), Some(1024));
        read_ahead.taken();
        assert_eq!(read_ahead.allowance(), Some(PIECE_BYTES));
        read_ahead.begin();
        assert_eq!(read_ahead.allowance(), Some(HEAD_BYTES));
    }

    #[test]
    fn pieces_are_large_while_the_client_keeps_up() {
        let read_ahead = ReadAhead::default();
        read_ahead.head_received();
        for _ in 0..KEPT_UP {
            assert!(!read_ahead.keeps_up());
            read_ahead.read(PIECE_BYTES);
            read_ahead.taken();
            // Nothing was read in between.
            read_ahead.taken();
        }
        assert!(read_ahead.keeps_up());
        read_ahead.widen();
        assert_eq!(read_ahead.allowance(), Some(WIDE_PIECE_BYTES));
        read_ahead.read(WIDE_PIECE_BYTES);
        assert_eq!(after_turns(&read_ahead), Some(1024), "it has fallen behind");
        read_ahead.taken();
        assert_eq!(read_ahead.allowance(), Some(PIECE_BYTES));
        assert!(!read_ahead.keeps_up());
    }
}
