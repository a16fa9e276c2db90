//! The keys whose tokens are taken at the moment, shared by all who verify.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;

use crate::VerificationKey;

/// A handle to the current verification keys; clones share one ring.
#[derive(Clone, Default)]
pub struct KeyRing(Arc<Ring>);

#[derive(Default)]
struct Ring {
    keys: RwLock<HashMap<String, VerificationKey>>,
    epoch: AtomicU64,
}

impl KeyRing {
    /// Puts `keys` in the place of those in the ring.
    pub fn replace(&self, keys: Vec<VerificationKey>) {
        let keys = keys.into_iter().map(|key| (key.key_id().as_str().to_owned(), key)).collect();
        let mut held = self.0.keys.write();
        *held = keys;
        // Still under the lock: whoever reads an epoch and then a key never
        // takes a key of an older epoch for one of a newer.
        self.0.epoch.fetch_add(1, Ordering::Release);
    }

    /// The key with this id.
    #[must_use]
    pub fn get(&self, key_id: &str) -> Option<VerificationKey> {
        self.0.keys.read().get(key_id).cloned()
    }

    /// Whether a key with this id is in the ring.
    #[must_use]
    pub fn contains(&self, key_id: &str) -> bool {
        self.0.keys.read().contains_key(key_id)
    }

    /// Whether there is no key at all: nothing can be verified yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.keys.read().is_empty()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.keys.read().len()
    }

    /// Counts the changes of the ring: as long as it stands, what was verified
    /// before was verified with a key that still counts.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.0.keys.read();
        f.debug_struct("KeyRing").field("epoch", &self.epoch()).field("keys", &keys.len()).finish()
    }
}
