//! Scrapes that are shared (`coalesce`, `cache_for`): of identical requests one is forwarded, and its
//! answer is given to all.
//!
//! Identical are requests of the same route, target, host and [`KEYED`] fields under the same
//! configuration, and of the same identity unless the route says that all get the same; nothing else
//! of a request that is shared gets to the exporter. Who is
//! given an answer was admitted like everybody else. When there is no room for more, each request is
//! forwarded, as without sharing.

mod answer;
mod key;
mod room;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::config::routes::Sharing;
use crate::metrics::Metrics;
use answer::Outcome;
pub use answer::{Answer, Leading};
pub use key::{Audience, KEYED, Key};
use room::House;

/// What a request has to do.
pub enum Turn {
    /// Ask the exporter; the answer is for the others, too.
    Lead(Box<Leading>),
    /// Ask the exporter.
    Alone,
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
            Self::Kept(answer, cache_for) => answer.is_older_than(*cache_for),
        }
    }
}

/// It comes as fast as the one who asked first reads it: after this time the others ask themselves.
const LONGEST_BODY: Duration = Duration::from_secs(1);

/// How often what has expired is looked for; none of it is given to anybody.
const SWEEP: Duration = Duration::from_secs(1);

/// All that is asked and kept at this time.
#[derive(Default)]
pub struct Shared {
    table: Mutex<Table>,
    house: House,
}

#[derive(Default)]
struct Table {
    slots: HashMap<Key, Slot>,
    swept: Option<Instant>,
}

impl Table {
    fn sweep(&mut self) {
        if self.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            self.slots.retain(|_, slot| !slot.has_expired());
            self.swept = Some(Instant::now());
        }
    }
}

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
        let deadline = (Instant::now() + patience).into();
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
            match timeout_at(deadline, wait(&mut waiting)).await {
                Ok(Some(Outcome::Done(answer))) => return Some(Turn::Answer(answer)),
                Ok(Some(Outcome::TooLarge | Outcome::Coming(_))) => return Some(Turn::Alone),
                // Failed, or gone without a word.
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    fn look(self: &Arc<Self>, key: &Key, sharing: Sharing) -> Found {
        let mut table = self.lock();
        match table.slots.get(key) {
            Some(Slot::InFlight(waiting)) => return Found::InFlight(waiting.clone()),
            Some(slot @ Slot::Kept(answer, _)) if !slot.has_expired() => {
                return Found::Turn(Turn::Answer(Arc::clone(answer)));
            }
            _ => {}
        }
        table.sweep();
        let mut room = self.house.room();
        // In the table, and with the answer.
        if !room.take(2 * key.bytes()) {
            return Found::Turn(Turn::Alone);
        }
        let (outcome, waiting) = watch::channel(Outcome::Pending);
        table.slots.insert(key.clone(), Slot::InFlight(waiting));
        let leading = Leading::new(self, key.clone(), sharing.cache_for, outcome, room);
        Found::Turn(Turn::Lead(Box::new(leading)))
    }

    /// What was in flight is done, and kept when there is a time for it.
    fn settle(&self, key: &Key, kept: Option<(Arc<Answer>, Duration)>) {
        let mut table = self.lock();
        table.slots.remove(key);
        if let Some((answer, cache_for)) = kept {
            table.slots.insert(key.clone(), Slot::Kept(answer, cache_for));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Found {
    Turn(Turn),
    InFlight(watch::Receiver<Outcome>),
}

/// How it ends, or that it has begun to come and does not.
async fn wait(waiting: &mut watch::Receiver<Outcome>) -> Option<Outcome> {
    let begun =
        waiting.wait_for(|outcome| !matches!(outcome, Outcome::Pending)).await.ok()?.clone();
    let Outcome::Coming(since) = begun else { return Some(begun) };
    let ended = timeout_at((since + LONGEST_BODY).into(), waiting.wait_for(Outcome::is_final));
    match ended.await {
        Ok(ended) => Some(ended.ok()?.clone()),
        Err(_) => Some(Outcome::Coming(since)),
    }
}
