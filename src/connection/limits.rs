//! The connections that are open, in all and per client network, and the HTTP/2 streams on them.
//!
//! A part of the connections, and one connection of each network, is reserved for networks that have
//! authenticated lately, so that strangers who hold on to all others do not keep a scraper out.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::auth::has_share;
use crate::config::ClientNetwork;

/// A tenth of all connections is reserved for known networks.
const RESERVED_DIVISOR: usize = 10;
/// The fewest connections that are reserved: a few scrapers, each with a connection more than it keeps
/// open. Of less than 16 connections half is reserved.
const MIN_RESERVED: usize = 8;
/// Connections of a known network beyond those that one network may have otherwise: a scraper gets in
/// beside strangers who have filled its own network.
const EXTRA_PER_KNOWN_NETWORK: usize = 1;

/// Counts open connections and streams, and refuses what is beyond the limits.
#[derive(Debug, Default)]
pub struct ConnectionTracker(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    connections: usize,
    by_network: HashMap<ClientNetwork, NetworkCounts>,
}

#[derive(Debug, Default)]
struct NetworkCounts {
    connections: usize,
    /// A stream may outlive its connection for a while.
    streams: usize,
}

/// The number of connections that may be open at a time.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// The number of all.
    pub total: usize,
    /// The number of those from one client network.
    pub per_network: usize,
    /// True if some of them are reserved for known networks. False until somebody has authenticated, and
    /// so for ever where nobody can.
    pub reserves: bool,
}

impl ConnectionLimits {
    /// Returns how many connections only known networks get.
    fn reserved(self) -> usize {
        match self.reserves {
            true => (self.total / RESERVED_DIVISOR).max(MIN_RESERVED).min(self.total / 2),
            false => 0,
        }
    }

    fn of_network(self, is_known: bool) -> usize {
        let extra = if is_known { EXTRA_PER_KNOWN_NETWORK } else { 0 };
        self.per_network.saturating_add(extra)
    }
}

/// The limit that keeps a connection from being accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitReached {
    /// [`ConnectionLimits::total`].
    Total,
    /// [`ConnectionLimits::per_network`].
    PerNetwork,
}

impl LimitReached {
    /// Returns the reason as the log and the metrics name it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Total => "too many connections",
            Self::PerNetwork => "too many connections from one address",
        }
    }
}

/// One connection that counts against the limits until the permit is dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    tracker: Arc<ConnectionTracker>,
    /// `None` until a load balancer has named the client.
    network: Option<ClientNetwork>,
}

/// One stream that counts against the limits until the permit is dropped.
#[derive(Debug)]
pub struct StreamPermit {
    tracker: Arc<ConnectionTracker>,
    network: ClientNetwork,
}

impl ConnectionTracker {
    /// Counts one more connection of `network`, from which somebody `is_known`.
    ///
    /// # Errors
    ///
    /// Returns the limit that is reached; then nothing is counted.
    pub fn assign(
        self: &Arc<Self>,
        network: ClientNetwork,
        is_known: bool,
        limits: ConnectionLimits,
    ) -> Result<ConnectionPermit, LimitReached> {
        let mut permit = self.assign_later(limits)?;
        permit.assign(network, is_known, limits)?;
        Ok(permit)
    }

    /// Counts one more connection whose client is not known yet.
    ///
    /// # Errors
    ///
    /// Returns [`LimitReached::Total`]; then nothing is counted.
    pub fn assign_later(
        self: &Arc<Self>,
        limits: ConnectionLimits,
    ) -> Result<ConnectionPermit, LimitReached> {
        let mut counts = self.0.lock();
        if counts.connections >= limits.total {
            return Err(LimitReached::Total);
        }
        counts.connections += 1;
        Ok(ConnectionPermit { tracker: Arc::clone(self), network: None })
    }
}

impl Counts {
    /// Counts one less, and forgets a network that has nothing open.
    fn release(&mut self, network: ClientNetwork, release: impl FnOnce(&mut NetworkCounts)) {
        let Some(counts) = self.by_network.get_mut(&network) else { return };
        release(counts);
        if counts.connections == 0 && counts.streams == 0 {
            self.by_network.remove(&network);
        }
    }
}

impl ConnectionPermit {
    /// Counts the connection against the limit of its client's network as well, and takes it of the
    /// reserved ones if no other is left. Of those a known network gets no more than its share (see
    /// [`has_share`]), so that one that has many connections leaves them to others.
    ///
    /// # Errors
    ///
    /// Returns the limit that is reached.
    pub fn assign(
        &mut self,
        network: ClientNetwork,
        is_known: bool,
        limits: ConnectionLimits,
    ) -> Result<(), LimitReached> {
        let mut counts = self.tracker.0.lock();
        let taken = counts.by_network.get(&network).map_or(0, |counts| counts.connections);
        if taken >= limits.of_network(is_known) {
            return Err(LimitReached::PerNetwork);
        }
        // This connection is counted already.
        let free = (limits.total + 1).saturating_sub(counts.connections);
        if free <= limits.reserved() && !(is_known && has_share(taken, free)) {
            return Err(LimitReached::Total);
        }
        counts.by_network.entry(network).or_default().connections += 1;
        self.network = Some(network);
        Ok(())
    }

    /// Returns the network of the client; clients of a unix socket count as one.
    pub fn network(&self) -> ClientNetwork {
        self.network.unwrap_or(ClientNetwork::Local)
    }

    /// Counts one more stream of the client's network; `None` when it has `max_streams` already.
    pub fn begin_stream(&self, max_streams: usize) -> Option<StreamPermit> {
        let network = self.network();
        let mut counts = self.tracker.0.lock();
        let of_network = counts.by_network.entry(network).or_default();
        if of_network.streams >= max_streams {
            return None;
        }
        of_network.streams += 1;
        Some(StreamPermit { tracker: Arc::clone(&self.tracker), network })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.tracker.0.lock();
        counts.connections -= 1;
        if let Some(network) = self.network {
            counts.release(network, |counts| counts.connections -= 1);
        }
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.tracker.0.lock().release(self.network, |counts| counts.streams -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_in_all_and_per_network_until_they_end() {
        let tracker = Arc::new(ConnectionTracker::default());
        let limits = ConnectionLimits { total: 3, per_network: 2, reserves: false };
        let [a, b] = [ClientNetwork::V6(1), ClientNetwork::V6(2)];
        let permits = [tracker.assign(a, false, limits), tracker.assign(a, false, limits)];
        assert!(permits.iter().all(Result::is_ok));
        assert_eq!(tracker.assign(a, false, limits).err(), Some(LimitReached::PerNetwork));
        let other = tracker.assign(b, false, limits);
        assert!(other.is_ok());
        assert_eq!(tracker.assign(b, false, limits).err(), Some(LimitReached::Total));
        drop(permits);
        assert!(tracker.assign(a, false, limits).is_ok());
        drop(other);
        let counts = tracker.0.lock();
        assert_eq!((counts.connections, counts.by_network.len()), (0, 0));
    }

    #[test]
    fn streams_are_counted_per_network_and_outlive_their_connection() {
        let tracker = Arc::new(ConnectionTracker::default());
        let limits = ConnectionLimits { total: 9, per_network: 9, reserves: false };
        let assign =
            |network| tracker.assign(ClientNetwork::V6(network), false, limits).expect("permit");
        let (first, second, other) = (assign(1), assign(1), assign(2));
        let streams = [first.begin_stream(2), second.begin_stream(2)];
        assert!(streams.iter().all(Option::is_some));
        assert!(second.begin_stream(2).is_none());
        assert!(other.begin_stream(2).is_some(), "of another network");
        drop((first, second));
        assert!(assign(1).begin_stream(2).is_none(), "their streams go on");
        drop(streams);
        assert!(assign(1).begin_stream(2).is_some());
        drop(other);
        let counts = tracker.0.lock();
        assert_eq!((counts.connections, counts.by_network.len()), (0, 0));
    }

    const ROOM: ConnectionLimits = ConnectionLimits { total: 100, per_network: 45, reserves: true };

    /// Opens as many connections of a network as there are to have.
    fn fill(
        tracker: &Arc<ConnectionTracker>,
        network: ClientNetwork,
        is_known: bool,
    ) -> Vec<ConnectionPermit> {
        std::iter::from_fn(|| tracker.assign(network, is_known, ROOM).ok()).collect()
    }

    #[test]
    fn strangers_leave_room_for_known_networks() {
        let tracker = Arc::new(ConnectionTracker::default());
        let mut strangers: Vec<_> =
            (1..9).map(|number| fill(&tracker, ClientNetwork::V6(number), false)).collect();
        let open: Vec<usize> = strangers.iter().map(Vec::len).collect();
        assert_eq!(open, [45, 45, 0, 0, 0, 0, 0, 0]);
        // One that strangers have filled gets one more, and each other one a part of what is left.
        assert_eq!(fill(&tracker, ClientNetwork::V6(1), true).len(), 0, "far beyond its share");
        let scrapers: Vec<_> =
            (11..13).map(|number| fill(&tracker, ClientNetwork::V6(number), true)).collect();
        let open: Vec<usize> = scrapers.iter().map(Vec::len).collect();
        assert_eq!(open, [7, 2]);
        strangers.pop();
        drop((strangers, scrapers));
        assert_eq!(fill(&tracker, ClientNetwork::V6(1), true).len(), 46);
    }

    #[test]
    fn nothing_is_reserved_until_somebody_is_known() {
        let reserved =
            |total, reserves| ConnectionLimits { total, per_network: 1, reserves }.reserved();
        let totals = [1, 2, 10, 16, 64, 200, 1024];
        assert_eq!(totals.map(|total| reserved(total, true)), [0, 1, 5, 8, 8, 20, 102]);
        assert_eq!(totals.map(|total| reserved(total, false)), [0; 7]);
    }

    /// A load balancer's connections are counted before their clients are known.
    #[test]
    fn a_connection_whose_client_is_named_later_takes_nothing_reserved() {
        let tracker = Arc::new(ConnectionTracker::default());
        let mut permits: Vec<_> =
            (0..100).map(|_| tracker.assign_later(ROOM).expect("a permit")).collect();
        let assign = |permit: &mut ConnectionPermit, network, is_known| {
            permit.assign(ClientNetwork::V6(network), is_known, ROOM)
        };
        assert_eq!(assign(&mut permits[0], 1, false), Err(LimitReached::Total));
        assert_eq!(assign(&mut permits[0], 1, true), Ok(()));
        permits.truncate(90);
        assert_eq!(assign(&mut permits[1], 1, false), Ok(()));
    }
}
