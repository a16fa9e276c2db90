//! The keys that sign access tokens: which one signs now, and which ones
//! verify. The secret parts are open in memory here and sealed everywhere else.

mod life;
mod rotation;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use countersign_seal::MasterKeys;
use countersign_tokens::{KeyRing, SigningKey, VerificationKey};
use countersign_types::Timestamp;
use parking_lot::RwLock;

pub use life::{Life, State};
pub use rotation::{Announced, Rotation};
pub(crate) use rotation::{Periods, announce};

use crate::{Error, store::signing_key::Model};

/// The keys as last read from the database; clones share them.
#[derive(Clone)]
pub(crate) struct KeyStore(Arc<Inner>);

struct Inner {
    ring: KeyRing,
    loaded: RwLock<Loaded>,
    /// How long what was read may be signed with.
    good_for: Duration,
}

#[derive(Default)]
struct Loaded {
    keys: Vec<Arc<Key>>,
    /// Measured, not read off a clock that somebody may set. `None` before the first time.
    since: Option<Instant>,
}

/// One key.
pub(crate) struct Key {
    pub(crate) life: Life,
    pub(crate) public: VerificationKey,
    secret: Arc<SigningKey>,
}

impl KeyStore {
    /// A store that keeps `ring` up to date. It is empty until [`KeyStore::load`].
    ///
    /// It signs with what it has read for as long as `good_for`, the time from
    /// which on another replica may have announced a key that signs by now:
    /// whoever lost sight of the database for longer could sign with a key that
    /// the guards are about to forget.
    pub(crate) fn new(ring: KeyRing, good_for: Duration) -> Self {
        Self(Arc::new(Inner { ring, loaded: RwLock::default(), good_for }))
    }

    /// Takes over the rows of the database; opens what was not open before.
    /// They were read after `since`.
    pub(crate) fn load(
        &self,
        rows: &[Model],
        masters: &MasterKeys,
        since: Instant,
    ) -> Result<(), Error> {
        let before = self.all();
        let keys = rows
            .iter()
            .map(|row| {
                let open = before.iter().find(|key| key.public.key_id().as_str() == row.key_id);
                Key::read(row, open, masters).map(Arc::new)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let ids = |keys: &[Arc<Key>]| {
            keys.iter().map(|key| key.public.key_id().clone()).collect::<Vec<_>>()
        };
        // A new ring empties the guards' caches: only where it is a new one.
        if ids(&keys) != ids(&before) {
            self.0.ring.replace(keys.iter().map(|key| key.public.clone()).collect());
        }
        *self.0.loaded.write() = Loaded { keys, since: Some(since) };
        Ok(())
    }

    /// The key that signs at `now`.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`] before the first load, and where the last one is
    /// too long ago.
    pub(crate) fn signing(&self, now: Timestamp) -> Result<Arc<Key>, Error> {
        let loaded = self.0.loaded.read();
        if loaded.since.is_none_or(|since| since.elapsed() > self.0.good_for) {
            return Err(Error::NoSigningKey);
        }
        let keys = &loaded.keys;
        // A key retires when its successor signs: the last that signs is the one. Where a
        // clock was turned back behind all of them, the first is nearest to the truth.
        let begun = keys.iter().filter(|key| key.life.sign_time <= now);
        let key = begun.max_by_key(|key| key.life.sign_time).or(keys.first());
        key.cloned().ok_or(Error::NoSigningKey)
    }

    /// What verifiers are told: all keys, in the order in which they sign.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`] where they were read so long ago that one which
    /// verifiers will need may be missing: another replica knows better.
    pub(crate) fn published(&self) -> Result<Vec<Arc<Key>>, Error> {
        let loaded = self.0.loaded.read();
        if loaded.since.is_none_or(|since| since.elapsed() > self.0.good_for / 2) {
            return Err(Error::NoSigningKey);
        }
        Ok(loaded.keys.clone())
    }

    /// All keys, in the order in which they sign.
    pub(crate) fn all(&self) -> Vec<Arc<Key>> {
        self.0.loaded.read().keys.clone()
    }
}

impl Key {
    fn read(row: &Model, open: Option<&Arc<Self>>, masters: &MasterKeys) -> Result<Self, Error> {
        let life = Life::from(row);
        let secret = match open {
            Some(open) => Arc::clone(&open.secret),
            None => {
                let secret = masters.open(&context(&row.key_id), &row.secret)?;
                Arc::new(SigningKey::from_bytes(&secret)?)
            }
        };
        if secret.key_id().as_str() != row.key_id {
            return Err(Error::Damaged("signing key"));
        }
        Ok(Self { life, public: secret.verification_key(), secret })
    }

    pub(crate) fn secret(&self) -> &SigningKey {
        &self.secret
    }
}

/// Where a sealed secret belongs: it does not open in the row of another key.
pub(crate) fn context(key_id: &str) -> Vec<u8> {
    format!("countersign/auth/signing_keys/secret/{key_id}").into_bytes()
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.all().iter().map(|key| key.public.key_id().clone()).collect::<Vec<_>>();
        f.debug_tuple("KeyStore").field(&ids).finish()
    }
}

#[cfg(test)]
mod tests {
    use countersign_seal::MasterKey;
    use countersign_types::EventId;

    use super::*;

    #[test]
    fn what_was_read_too_long_ago_is_not_signed_with() {
        let master = MasterKey::generate().unwrap();
        let masters = MasterKeys::from(master.clone());
        let secret = SigningKey::generate().unwrap();
        let key_id = secret.key_id().to_string();
        let row = Model {
            id: EventId::generate().as_uuid(),
            predecessor: String::new(),
            paserk: secret.verification_key().paserk(),
            secret: master.seal(&context(&key_id), &secret.to_secret_bytes()).unwrap(),
            key_id,
            announce_time: 0,
            sign_time: 0,
            retire_time: None,
            remove_time: None,
        };
        let read = Instant::now().checked_sub(Duration::from_millis(2)).unwrap();
        let signs = |good_for| {
            let store = KeyStore::new(KeyRing::default(), good_for);
            store.load(std::slice::from_ref(&row), &masters, read).unwrap();
            assert_eq!(store.all().len(), 1, "it verifies in any case");
            store.signing(Timestamp::from_seconds(1)).is_ok()
        };
        assert!(signs(Duration::from_secs(3_600)));
        assert!(!signs(Duration::from_millis(1)));
    }
}
