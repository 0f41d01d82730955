//! Shared answers (`coalesce`, `cache_for`): of identical requests one is forwarded, and its answer is
//! given to all.
//!
//! Requests are identical when they have the same route, scheme, target, host and [`KEYED`] fields
//! under the same configuration, and the same identity unless the route says that everybody gets the same;
//! nothing else of a request whose answer is shared reaches the exporter. Every request that is given
//! an answer was authorized like all others. When the memory budget is used up, each request is
//! forwarded, as without sharing.

mod fill;
mod key;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::config::routes::Sharing;
use crate::connection::budget::Reservation;
use crate::observe::Metrics;
use fill::FillState;
pub use fill::{Answer, CacheFill};
pub use key::{Audience, KEYED, Key, Scope};

/// The result of looking for an answer.
pub enum Lookup {
    /// There is none: the request is forwarded, and its answer is for the others, too.
    Fill(Box<CacheFill>),
    /// The request is forwarded by itself.
    Bypass,
    /// An answer of another request.
    Hit(Arc<Answer>),
    /// There is none, and the request may not be forwarded yet.
    Miss,
}

/// The time that the body of an answer may take to arrive: it comes as fast as the client of the forwarded
/// request reads it, and after this time the requests that wait are forwarded, too.
const MAX_BODY_WAIT: Duration = Duration::from_secs(1);

/// The time between two removals of expired answers; they are never given to anybody.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// The answers that are on their way or cached.
#[derive(Default)]
pub struct Coalescer {
    slots: Mutex<Slots>,
}

#[derive(Default)]
struct Slots {
    by_key: HashMap<Key, Slot>,
    swept: Option<Instant>,
}

enum Slot {
    InFlight(watch::Receiver<FillState>),
    Cached(Arc<Answer>, Duration),
}

/// The state of a slot at one moment.
enum Found {
    Now(Lookup),
    InFlight(watch::Receiver<FillState>),
}

impl Slot {
    fn has_expired(&self) -> bool {
        match self {
            Self::InFlight(_) => false,
            Self::Cached(answer, cache_for) => answer.is_older_than(*cache_for),
        }
    }
}

impl Slots {
    fn sweep(&mut self) {
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP_INTERVAL) {
            self.by_key.retain(|_, slot| !slot.has_expired());
            self.swept = Some(Instant::now());
        }
    }
}

impl Coalescer {
    /// Returns an answer, waits until `deadline` for one that is on its way, or says how to fetch it if
    /// the request `may_fill`: no other request may wait for one that waits itself. `None`: the answer
    /// did not come in time.
    pub async fn lookup(
        self: &Arc<Self>,
        key: &Key,
        sharing: Sharing,
        (deadline, may_fill): (Instant, bool),
        memory: &Reservation,
        metrics: &Metrics,
    ) -> Option<Lookup> {
        let deadline = deadline.into();
        loop {
            let mut in_flight = match self.find(key, sharing, may_fill, memory) {
                Found::Now(lookup) => {
                    if matches!(lookup, Lookup::Hit(_)) {
                        metrics.request_shared();
                    }
                    return Some(lookup);
                }
                Found::InFlight(in_flight) => {
                    metrics.request_shared();
                    in_flight
                }
            };
            match timeout_at(deadline, wait(&mut in_flight)).await {
                Ok(Some(FillState::Done(answer))) => return Some(Lookup::Hit(answer)),
                Ok(Some(FillState::TooLarge | FillState::Arriving(_))) => {
                    return Some(Lookup::Bypass);
                }
                // It has failed: look again, and perhaps be the one that fetches.
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn find(
        self: &Arc<Self>,
        key: &Key,
        sharing: Sharing,
        may_fill: bool,
        memory: &Reservation,
    ) -> Found {
        let mut slots = self.slots.lock();
        match slots.by_key.get(key) {
            Some(Slot::InFlight(in_flight)) => return Found::InFlight(in_flight.clone()),
            Some(slot @ Slot::Cached(answer, _)) if !slot.has_expired() => {
                return Found::Now(Lookup::Hit(Arc::clone(answer)));
            }
            _ => {}
        }
        if !may_fill {
            return Found::Now(Lookup::Miss);
        }
        slots.sweep();
        let mut reservation = memory.shared();
        // One key is in the table, another one goes with the answer.
        if !reservation.grow(2 * key.bytes()) {
            return Found::Now(Lookup::Bypass);
        }
        let (state, in_flight) = watch::channel(FillState::Pending);
        slots.by_key.insert(key.clone(), Slot::InFlight(in_flight));
        let fill = CacheFill::new(self, key.clone(), sharing.cache_for, state, reservation);
        Found::Now(Lookup::Fill(Box::new(fill)))
    }

    /// Removes what was in flight, and caches the answer when there is a time for it.
    fn settle(&self, key: &Key, cached: Option<(Arc<Answer>, Duration)>) {
        let mut slots = self.slots.lock();
        slots.by_key.remove(key);
        if let Some((answer, cache_for)) = cached {
            slots.by_key.insert(key.clone(), Slot::Cached(answer, cache_for));
        }
    }
}

/// Waits for the final state, or until the answer has been arriving for too long.
async fn wait(in_flight: &mut watch::Receiver<FillState>) -> Option<FillState> {
    let begun =
        in_flight.wait_for(|state| !matches!(state, FillState::Pending)).await.ok()?.clone();
    let FillState::Arriving(since) = begun else { return Some(begun) };
    let ended = timeout_at((since + MAX_BODY_WAIT).into(), in_flight.wait_for(FillState::is_final));
    match ended.await {
        Ok(ended) => Some(ended.ok()?.clone()),
        Err(_) => Some(FillState::Arriving(since)),
    }
}
