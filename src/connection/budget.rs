//! The memory that clients may make the guard hold: open requests, and answers that are not taken.
//!
//! Every open request has a [`Reservation`], and what is held for it is a [`Charge`] to that. A client
//! network may have a quarter of the budget, an identity half of it. When the budget is used up, the
//! newest reservations of the network that has most are revoked in favor of one that has less.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::ClientNetwork;

/// The part of the budget that one client network may have: a quarter.
const NETWORK_SHARE: usize = 4;

/// The part of the budget that one identity may have, from all its addresses: half.
const IDENTITY_SHARE: usize = 2;

/// The part of the budget that shared answers may have: half.
const SHARED_SHARE: usize = 2;

/// Bytes that the allocator may keep when they have been given back.
const NOTABLE_BYTES: usize = 4 * 1024 * 1024;

/// The reason of a refusal as the log and the metrics name it.
pub const REASON: &str = "too much memory for unsent answers";

/// The bytes of an open request beside its head: the tasks and buffers of its way through the engine.
const REQUEST_BYTES: usize = 24 * 1024;

/// The bytes of a field beside its name and value, in the table of the request and in its copy for
/// the exporter.
const FIELD_BYTES: usize = 256;

/// The bytes of an HTTP/2 stream whose request is forgotten: a small answer that waits for a window.
pub(super) const FORGOTTEN_REQUEST: usize = 2560;

/// The fields that the engine reads of an HTTP/1 request at most.
const MAX_HTTP1_FIELDS: usize = 256;

/// Returns the bytes that an HTTP/1 request takes whose head has this length and number of lines.
pub(super) fn head_bytes(len: usize, lines: usize) -> usize {
    REQUEST_BYTES + 2 * len + FIELD_BYTES * lines.min(MAX_HTTP1_FIELDS)
}

/// Returns the bytes that an HTTP/2 request with these fields takes.
pub(super) fn request_bytes(fields: &HeaderMap) -> usize {
    let of_field = |(name, value): (&HeaderName, &HeaderValue)| {
        FIELD_BYTES + name.as_str().len() + value.len()
    };
    REQUEST_BYTES + fields.iter().map(of_field).sum::<usize>()
}

/// Counts the bytes that are held for clients, up to `proxy.limits.max_buffered_bytes`.
#[derive(Debug, Default)]
pub struct MemoryBudget {
    accounts: Mutex<Accounts>,
    /// Notified when much of it is given back.
    released: Notify,
}

#[derive(Debug, Default)]
struct Accounts {
    /// The bytes of all holders.
    reserved: usize,
    /// The most that were reserved since memory was last given back.
    peak: usize,
    networks: HashMap<ClientNetwork, Account>,
    /// The bytes by the hash of the identity.
    identities: HashMap<u64, usize>,
    /// The bytes of shared answers.
    shared: usize,
    next_id: u64,
}

/// The reservations of one client network.
#[derive(Debug, Default)]
struct Account {
    bytes: usize,
    /// The reservations from the oldest to the newest.
    reservations: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    bytes: usize,
    identity: Option<u64>,
    revocation: Arc<Revocation>,
}

#[derive(Debug, Default)]
struct Revocation {
    is_revoked: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Revocation {
    fn revoke(&self) {
        self.is_revoked.store(true, Relaxed);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }
}

impl MemoryBudget {
    /// Waits until clients have given back half of the memory that they held, if it was much.
    pub async fn released(&self) {
        self.released.notified().await;
    }

    /// Tells who waits for it that much memory was given back.
    fn note_release(&self, accounts: &mut Accounts) {
        if accounts.peak >= NOTABLE_BYTES && accounts.reserved <= accounts.peak / 2 {
            accounts.peak = accounts.reserved;
            self.released.notify_one();
        }
    }

    /// Begins a reservation of no bytes yet, in a budget of `limit` bytes.
    pub fn reserve(self: &Arc<Self>, network: ClientNetwork, limit: usize) -> Arc<Reservation> {
        let revocation = Arc::<Revocation>::default();
        let entry = Entry { bytes: 0, identity: None, revocation: Arc::clone(&revocation) };
        let mut accounts = self.accounts.lock();
        let id = accounts.next_id;
        accounts.next_id += 1;
        accounts.networks.entry(network).or_default().reservations.insert(id, entry);
        let budget = Arc::clone(self);
        Arc::new(Reservation {
            budget,
            network,
            id,
            limit,
            revocation,
            is_exhausted: AtomicBool::new(false),
        })
    }

    /// Begins a reservation for an answer that several requests get, in a budget of `limit` bytes.
    pub fn reserve_shared(self: &Arc<Self>, limit: usize) -> SharedReservation {
        SharedReservation { budget: Arc::clone(self), bytes: 0, limit }
    }
}

impl Accounts {
    /// Counts `bytes` more for a reservation; false when a share or the budget does not have them.
    fn grow(&mut self, reservation: &Reservation, bytes: usize) -> bool {
        let limit = reservation.limit;
        let (network, id) = (reservation.network, reservation.id);
        let Some(account) = self.networks.get(&network) else { return false };
        let Some(entry) = account.reservations.get(&id) else { return false };
        let identity = entry.identity;
        let of_network = account.bytes.saturating_add(bytes);
        let of_identity = self.identity_bytes(identity).saturating_add(bytes);
        let is_revoked = entry.revocation.is_revoked.load(Relaxed);
        if is_revoked
            || of_network > limit / NETWORK_SHARE
            || (identity.is_some() && of_identity > limit / IDENTITY_SHARE)
            || !self.make_room(bytes, of_network, limit)
        {
            return false;
        }
        self.count(network, id, |counted| *counted += bytes);
        true
    }

    /// Revokes reservations of other networks until the budget has `bytes` more. A network loses
    /// them only while it has more than `of_network`, which the one that asks would have.
    fn make_room(&mut self, bytes: usize, of_network: usize, limit: usize) -> bool {
        while self.reserved.saturating_add(bytes) > limit {
            let greediest = self.networks.iter().max_by_key(|(_, account)| account.bytes);
            let Some((network, account)) = greediest else { return false };
            let network = *network;
            let mut newest = account.reservations.iter().rev();
            let Some((id, entry)) = newest.find(|(_, entry)| entry.bytes > 0) else { return false };
            if account.bytes <= of_network {
                return false;
            }
            let id = *id;
            entry.revocation.revoke();
            // It is about to be dropped.
            self.count(network, id, |counted| *counted = 0);
        }
        true
    }

    /// Changes the bytes of a reservation, and every sum that they are part of.
    fn count(&mut self, network: ClientNetwork, id: u64, change: impl FnOnce(&mut usize)) {
        let Some(account) = self.networks.get_mut(&network) else { return };
        let Some(entry) = account.reservations.get_mut(&id) else { return };
        let before = entry.bytes;
        change(&mut entry.bytes);
        let (after, identity) = (entry.bytes, entry.identity);
        account.bytes = account.bytes - before + after;
        self.reserved = self.reserved - before + after;
        self.peak = self.peak.max(self.reserved);
        self.move_identity(identity, before, after);
    }

    fn identity_bytes(&self, identity: Option<u64>) -> usize {
        identity.and_then(|identity| self.identities.get(&identity)).copied().unwrap_or(0)
    }

    fn move_identity(&mut self, identity: Option<u64>, before: usize, after: usize) {
        let Some(identity) = identity else { return };
        let bytes = self.identities.entry(identity).or_default();
        *bytes = *bytes - before + after;
        if *bytes == 0 {
            self.identities.remove(&identity);
        }
    }
}

/// The memory that is held for one request, or for the socket of one connection.
#[derive(Debug)]
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    network: ClientNetwork,
    id: u64,
    limit: usize,
    revocation: Arc<Revocation>,
    /// True if the connection ends for want of memory.
    is_exhausted: AtomicBool,
}

impl Reservation {
    /// Begins a reservation of the same client.
    pub fn another(&self) -> Arc<Self> {
        self.budget.reserve(self.network, self.limit)
    }

    /// Begins a reservation in the same budget for an answer that several requests get.
    pub fn shared(&self) -> SharedReservation {
        self.budget.reserve_shared(self.limit)
    }

    /// Counts the reservation against the share of an identity from now on.
    pub fn identify(&self, identity: &impl Hash) {
        let mut hasher = DefaultHasher::new();
        identity.hash(&mut hasher);
        let identity = hasher.finish();
        let mut accounts = self.budget.accounts.lock();
        let account = accounts.networks.get_mut(&self.network);
        let Some(entry) = account.and_then(|a| a.reservations.get_mut(&self.id)) else { return };
        let (bytes, before) = (entry.bytes, entry.identity.replace(identity));
        accounts.move_identity(before, bytes, 0);
        accounts.move_identity(Some(identity), 0, bytes);
    }

    /// Charges `bytes`; `None` when a share or the budget does not have them.
    pub fn charge(self: &Arc<Self>, bytes: usize) -> Option<Charge> {
        let mut charge = Charge { reservation: Arc::clone(self), bytes: 0 };
        charge.grow_to(bytes).then_some(charge)
    }

    /// Begins a charge of no bytes yet.
    pub fn empty_charge(self: &Arc<Self>) -> Charge {
        Charge { reservation: Arc::clone(self), bytes: 0 }
    }

    /// Returns ready when the memory is needed for another client: the request is to end.
    pub fn poll_revoked(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_revoked() {
            *self.revocation.waker.lock() = Some(cx.waker().clone());
        }
        // Checked again: it may have been revoked before the waker was there.
        if self.is_revoked() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the memory is needed for another client.
    pub async fn revoked(&self) {
        std::future::poll_fn(|cx| self.poll_revoked(cx)).await;
    }

    fn is_revoked(&self) -> bool {
        self.revocation.is_revoked.load(Relaxed)
    }

    /// Returns whether the connection ends because the budget had no memory for what waits on its socket, or
    /// because the reservation was revoked.
    pub fn is_exhausted(&self) -> bool {
        self.is_exhausted.load(Relaxed) || self.is_revoked()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut accounts = self.budget.accounts.lock();
        accounts.count(self.network, self.id, |bytes| *bytes = 0);
        self.budget.note_release(&mut accounts);
        if let Some(account) = accounts.networks.get_mut(&self.network) {
            account.reservations.remove(&self.id);
            if account.reservations.is_empty() {
                accounts.networks.remove(&self.network);
            }
        }
    }
}

/// Bytes that count against a reservation until they are dropped.
#[derive(Debug)]
pub struct Charge {
    reservation: Arc<Reservation>,
    bytes: usize,
}

impl Charge {
    /// Charges up to `bytes`; false when a share or the budget does not have them. A charge that is
    /// larger stays.
    pub fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let is_charged = self.reservation.budget.accounts.lock().grow(&self.reservation, more);
        if is_charged {
            self.bytes += more;
        }
        is_charged
    }

    /// Charges up to `bytes` of what waits on a socket; false when the connection is to end, for want of
    /// memory or because its memory is needed for another client.
    pub fn keep_waiting(&mut self, bytes: usize, cx: &Context<'_>) -> bool {
        let has_memory = self.grow_to(bytes);
        if !has_memory {
            self.reservation.is_exhausted.store(true, Relaxed);
        }
        has_memory && self.reservation.poll_revoked(cx).is_pending()
    }

    /// Gives back what is more than `bytes`.
    pub fn shrink_to(&mut self, bytes: usize) {
        let less = self.bytes.saturating_sub(bytes);
        if less > 0 {
            let Reservation { network, id, .. } = *self.reservation;
            let mut accounts = self.reservation.budget.accounts.lock();
            // A revoked reservation has none left.
            accounts.count(network, id, |counted| *counted = counted.saturating_sub(less));
            self.reservation.budget.note_release(&mut accounts);
            self.bytes -= less;
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// The memory of an answer that several requests get, given back when dropped.
#[derive(Debug)]
pub struct SharedReservation {
    budget: Arc<MemoryBudget>,
    bytes: usize,
    limit: usize,
}

impl SharedReservation {
    /// Reserves so many bytes more; false when the share of shared answers or the budget does not
    /// have them.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let mut accounts = self.budget.accounts.lock();
        let shared = accounts.shared.saturating_add(bytes);
        let is_reserved = shared <= self.limit / SHARED_SHARE
            && accounts.reserved.saturating_add(bytes) <= self.limit;
        if is_reserved {
            accounts.shared += bytes;
            accounts.reserved += bytes;
            self.bytes += bytes;
        }
        is_reserved
    }
}

impl Drop for SharedReservation {
    fn drop(&mut self) {
        let mut accounts = self.budget.accounts.lock();
        accounts.shared -= self.bytes;
        accounts.reserved -= self.bytes;
    }
}

#[cfg(test)]
mod tests;
