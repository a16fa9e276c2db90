//! Room for calls: how many are worked on at a time, and how much of them may be
//! on its way in. There is one for the whole server and one for each peer.

use std::{sync::Arc, time::Duration};

use countersign_contracts::status;
use countersign_types::{Code, Fault};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use super::priority::Priority;

/// How many of the largest messages may be arriving at a time, in the server
/// and from one peer.
const ARRIVING: u32 = 64;
const ARRIVING_OF_A_PEER: u32 = 16;
/// What a message counts for at least in these: a frame of HTTP/2 may have
/// 16 KiB however little is asked for.
const LEAST: u32 = 64 * 1024;

/// When a client that was turned away may come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) struct Room {
    places: usize,
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
}

impl Room {
    /// Room for the whole server.
    pub(super) fn of_all(calls: u32, message: u32) -> Self {
        Self::new(calls, ARRIVING.saturating_mul(message.max(LEAST)))
    }

    /// Room for one peer.
    pub(super) fn of_a_peer(calls: u32, message: u32) -> Self {
        Self::new(calls, ARRIVING_OF_A_PEER.saturating_mul(message.max(LEAST)))
    }

    fn new(calls: u32, bytes: u32) -> Self {
        let permits = |number| usize::try_from(number).unwrap_or(Semaphore::MAX_PERMITS);
        let semaphore = |number| Arc::new(Semaphore::new(permits(number)));
        Self { places: permits(calls), calls: semaphore(calls), bytes: semaphore(bytes) }
    }

    /// Whether one more call of this priority would find no place now.
    pub(super) fn is_full(&self, priority: Priority) -> bool {
        self.calls.available_permits() <= priority.leaves(self.places)
    }

    /// A place for a call, until it is dropped.
    pub(super) fn work(&self, priority: Priority) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.calls).try_acquire_owned().ok()?;
        // Looked at with the place in hand: two that come at once see each other.
        let left = self.calls.available_permits();
        (left >= priority.leaves(self.places)).then_some(place)
    }

    /// Place for bytes that arrive, until it is dropped.
    pub(super) fn store(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()
    }
}

/// The answer to one call too many: there is no room.
pub(super) fn busy() -> Status {
    let busy = Fault::new(Code::ResourceExhausted, "SERVER_BUSY", "the server is busy");
    status(busy.retry_after(RETRY_AFTER))
}
