//! Limits the requests in flight at the exporter of a route (`max_in_flight`), and shares them fairly
//! among requesters.
//!
//! An exporter collects for a few requests at a time; node_exporter answers the 41st with 503. Without
//! a limit in front of it, one client with many connections takes the exporter from all others. Each
//! requester has its share of the requests in flight (see [`has_share`]), and a request beyond it, or
//! beyond the limit, waits. The next one is that of the requester with the fewest in flight, and of
//! several that of the one that has waited longest. A request that waits for the answer to an
//! identical one does not count.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::auth::{Requester, has_share};
use crate::observe::Metrics;
use crate::observe::metrics::Counted;

/// Requests that may wait for one route. More could not be served in the two seconds that each waits
/// at most, unless the exporter answers in a few milliseconds.
const MAX_WAITING: usize = 256;

/// The requests that are in flight or wait, by the names of their routes, over all generations of the
/// configuration. A route without any is not in the table.
#[derive(Debug, Default)]
pub struct InFlight(Mutex<HashMap<String, RouteQueue>>);

#[derive(Debug, Default)]
struct RouteQueue {
    /// `max_in_flight`, as the latest request has it.
    max: usize,
    in_flight: usize,
    waiting: usize,
    /// The requesters that have any.
    requesters: HashMap<Requester, Requests>,
    /// The number that the next request that waits gets.
    next_number: u64,
}

/// The requests of one requester.
#[derive(Debug, Default)]
struct Requests {
    in_flight: usize,
    /// The requests that wait, in the order of their numbers.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    admit: oneshot::Sender<()>,
}

/// A request that counts until the slot is dropped.
#[derive(Debug)]
pub struct Slot {
    table: Arc<InFlight>,
    route: String,
    requester: Requester,
    /// `None`: the request is in flight.
    pending: Option<Pending>,
    _counted: Counted,
}

/// The place of a request in the queue.
#[derive(Debug)]
struct Pending {
    number: u64,
    admitted: oneshot::Receiver<()>,
}

impl InFlight {
    /// Waits at most `max_wait` until the requester may have one more request in flight on the route,
    /// of `max` in all. `None`: it may not, or too many requests wait already.
    pub async fn admit(
        self: &Arc<Self>,
        route: &str,
        requester: Requester,
        (max, max_wait): (usize, Duration),
        metrics: &Metrics,
    ) -> Option<Slot> {
        let mut slot = self.enter(route, requester, max, metrics)?;
        let Some(pending) = &mut slot.pending else { return Some(slot) };
        // The sender is dropped only with the request in the queue, which is removed by the slot.
        timeout(max_wait, &mut pending.admitted).await.ok()?.ok()?;
        slot.pending = None;
        slot._counted = metrics.request_in_flight();
        Some(slot)
    }

    fn enter(
        self: &Arc<Self>,
        route: &str,
        requester: Requester,
        max: usize,
        metrics: &Metrics,
    ) -> Option<Slot> {
        let mut routes = self.0.lock();
        let queue = routes.entry(route.to_owned()).or_default();
        queue.set_max(max);
        let pending = match queue.begin(&requester) {
            true => None,
            false => Some(queue.wait(&requester)?),
        };
        let counted = match pending {
            None => metrics.request_in_flight(),
            Some(_) => metrics.request_waiting(),
        };
        let (table, route) = (Arc::clone(self), route.to_owned());
        Some(Slot { table, route, requester, pending, _counted: counted })
    }
}

impl RouteQueue {
    fn free(&self) -> usize {
        self.max.saturating_sub(self.in_flight)
    }

    fn set_max(&mut self, max: usize) {
        if self.max != max {
            self.max = max;
            self.admit_waiting();
        }
    }

    /// Counts one more request in flight, if the requester may have it.
    fn begin(&mut self, requester: &Requester) -> bool {
        let own = self.requesters.get(requester).map_or(0, |requests| requests.in_flight);
        let may_begin = has_share(own, self.free());
        if may_begin {
            self.in_flight += 1;
            self.requesters.entry(requester.clone()).or_default().in_flight += 1;
        }
        may_begin
    }

    /// Puts a request into the queue; `None` when the requester has its share of it already.
    fn wait(&mut self, requester: &Requester) -> Option<Pending> {
        let own = self.requesters.get(requester).map_or(0, |requests| requests.waiting.len());
        if !has_share(own, MAX_WAITING - self.waiting) {
            return None;
        }
        let (admit, admitted) = oneshot::channel();
        let number = self.next_number;
        self.next_number += 1;
        self.waiting += 1;
        let requests = self.requesters.entry(requester.clone()).or_default();
        requests.waiting.push_back(Waiting { number, admit });
        Some(Pending { number, admitted })
    }

    /// Removes a request that waits.
    fn cancel(&mut self, requester: &Requester, number: u64) {
        let Some(requests) = self.requesters.get_mut(requester) else { return };
        let Ok(index) = requests.waiting.binary_search_by_key(&number, |one| one.number) else {
            return;
        };
        requests.waiting.remove(index);
        self.waiting -= 1;
        self.forget_if_idle(requester);
    }

    /// Counts one request in flight less, and admits the next.
    fn end(&mut self, requester: &Requester) {
        if let Some(requests) = self.requesters.get_mut(requester) {
            requests.in_flight -= 1;
            self.in_flight -= 1;
        }
        self.admit_waiting();
        self.forget_if_idle(requester);
    }

    fn forget_if_idle(&mut self, requester: &Requester) {
        let requests = self.requesters.get(requester);
        if requests.is_some_and(|one| one.in_flight == 0 && one.waiting.is_empty()) {
            self.requesters.remove(requester);
        }
    }

    fn admit_waiting(&mut self) {
        loop {
            let free = self.free();
            let waiting = self.requesters.values_mut().filter_map(|requests| {
                let first = requests.waiting.front()?.number;
                Some((requests.in_flight, first, requests))
            });
            let next = waiting.min_by_key(|(in_flight, first, _)| (*in_flight, *first));
            // If the one with the fewest in flight has its share, so has every other.
            let Some((own, _, requests)) = next.filter(|(own, ..)| has_share(*own, free)) else {
                return;
            };
            let Some(waiting) = requests.waiting.pop_front() else { return };
            requests.in_flight = own + 1;
            self.in_flight += 1;
            self.waiting -= 1;
            // The receiver is there: its slot removes the request before it is dropped, and it takes
            // back what it was given.
            let _ = waiting.admit.send(());
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut routes = self.table.0.lock();
        let Some(queue) = routes.get_mut(&self.route) else { return };
        // A request that waits may just have been admitted.
        let waits = self.pending.as_mut().filter(|pending| pending.admitted.is_empty());
        match waits {
            Some(pending) => queue.cancel(&self.requester, pending.number),
            None => queue.end(&self.requester),
        }
        if queue.requesters.is_empty() {
            routes.remove(&self.route);
        }
    }
}

#[cfg(test)]
mod tests;
