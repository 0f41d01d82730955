//! The connections that are open, in all and per client network, and the HTTP/2 streams on them.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::ClientNetwork;

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

/// How many connections may be open at a time.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// In all.
    pub total: usize,
    /// From one client network.
    pub per_network: usize,
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
    /// Counts one more connection of `network`.
    ///
    /// # Errors
    ///
    /// Returns the limit that is reached; then nothing is counted.
    pub fn assign(
        self: &Arc<Self>,
        network: ClientNetwork,
        limits: ConnectionLimits,
    ) -> Result<ConnectionPermit, LimitReached> {
        let mut permit = self.assign_later(limits)?;
        permit.assign(network, limits)?;
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
    /// Counts the connection against the limit of its client's network as well.
    ///
    /// # Errors
    ///
    /// Returns [`LimitReached::PerNetwork`].
    pub fn assign(
        &mut self,
        network: ClientNetwork,
        limits: ConnectionLimits,
    ) -> Result<(), LimitReached> {
        let mut counts = self.tracker.0.lock();
        let taken = counts.by_network.get(&network).map_or(0, |counts| counts.connections);
        if taken >= limits.per_network {
            return Err(LimitReached::PerNetwork);
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
        let limits = ConnectionLimits { total: 3, per_network: 2 };
        let [a, b] = [ClientNetwork::V6(1), ClientNetwork::V6(2)];
        let permits = [tracker.assign(a, limits), tracker.assign(a, limits)];
        assert!(permits.iter().all(Result::is_ok));
        assert_eq!(tracker.assign(a, limits).err(), Some(LimitReached::PerNetwork));
        let other = tracker.assign(b, limits);
        assert!(other.is_ok());
        assert_eq!(tracker.assign(b, limits).err(), Some(LimitReached::Total));
        drop(permits);
        assert!(tracker.assign(a, limits).is_ok());
        drop(other);
        let counts = tracker.0.lock();
        assert_eq!((counts.connections, counts.by_network.len()), (0, 0));
    }

    #[test]
    fn streams_are_counted_per_network_and_outlive_their_connection() {
        let tracker = Arc::new(ConnectionTracker::default());
        let limits = ConnectionLimits { total: 9, per_network: 9 };
        let assign = |network| tracker.assign(ClientNetwork::V6(network), limits).expect("permit");
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
}
