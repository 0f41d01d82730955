//! The latest events, for the status page: reloads, and refusals by reason and address. Both are
//! bounded.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::SystemTime;

use lru::LruCache;
use parking_lot::Mutex;

/// The reloads that are kept.
const MAX_RELOADS: usize = 10;

/// The pairs of reason and address that are kept; the one that was not seen for the longest is
/// forgotten first.
const MAX_REFUSALS: NonZeroUsize = NonZeroUsize::new(50).expect("not zero");

/// One attempt to reload the configuration.
#[derive(Debug, Clone)]
pub struct Reload {
    /// The time of its end.
    pub at: SystemTime,
    /// The number of the configuration in force afterwards.
    pub generation: u64,
    /// The parts that it has changed, or why it has failed.
    pub result: Result<String, String>,
}

/// Refusals of one reason for one address.
#[derive(Debug, Clone)]
pub struct Refusals {
    /// The reason.
    pub reason: &'static str,
    /// The address of the client without its port.
    pub address: String,
    /// The number of them.
    pub count: u64,
    /// The time of the last one.
    pub last: SystemTime,
}

/// The number of refusals and the time of the last one, by reason and address.
type RefusalCache = LruCache<(&'static str, String), (u64, SystemTime)>;

/// The latest events.
#[derive(Debug)]
pub struct Recent {
    reloads: Mutex<VecDeque<Reload>>,
    refusals: Mutex<RefusalCache>,
}

impl Default for Recent {
    fn default() -> Self {
        // Allocates nothing before the first refusal.
        let mut refusals = LruCache::unbounded();
        refusals.resize(MAX_REFUSALS);
        Self { reloads: Mutex::default(), refusals: Mutex::new(refusals) }
    }
}

impl Recent {
    /// Records a reload.
    pub fn reload(&self, generation: u64, result: Result<String, String>) {
        let mut reloads = self.reloads.lock();
        reloads.push_front(Reload { at: SystemTime::now(), generation, result });
        reloads.truncate(MAX_RELOADS);
    }

    /// Records a refusal.
    pub fn refusal(&self, reason: &'static str, address: String) {
        let mut refusals = self.refusals.lock();
        let (count, last) =
            refusals.get_or_insert_mut((reason, address), || (0, SystemTime::UNIX_EPOCH));
        *count += 1;
        *last = SystemTime::now();
    }

    /// Returns the last reloads, the newest first.
    pub fn reloads(&self) -> Vec<Reload> {
        self.reloads.lock().iter().cloned().collect()
    }

    /// Returns the last refusals, the newest first.
    pub fn refusals(&self) -> Vec<Refusals> {
        let refusals = self.refusals.lock();
        let refusals = refusals.iter().map(|((reason, address), (count, last))| Refusals {
            reason,
            address: address.clone(),
            count: *count,
            last: *last,
        });
        refusals.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let recent = Recent::default();
        for number in 0..100 {
            recent.refusal("no credentials", format!("192.0.2.{number}"));
            recent.reload(number, Err("broken".to_owned()));
        }
        recent.refusal("no credentials", "192.0.2.60".to_owned());
        let refusals = recent.refusals();
        assert_eq!(refusals.len(), MAX_REFUSALS.get());
        assert_eq!((refusals[0].address.as_str(), refusals[0].count), ("192.0.2.60", 2));
        assert_eq!(refusals[1].address, "192.0.2.99");
        let reloads = recent.reloads();
        assert_eq!((reloads.len(), reloads[0].generation), (MAX_RELOADS, 99));
    }
}
