//! The keys that sign access tokens: which one signs now, and which ones
//! verify. The secret parts are open in memory here and sealed everywhere else.

mod life;
mod rotation;

use std::{fmt, sync::Arc};

use countersign_seal::MasterKey;
use countersign_tokens::{KeyRing, SigningKey, VerificationKey};
use countersign_types::Timestamp;
use parking_lot::RwLock;

pub use life::{Life, State};
pub(crate) use rotation::announce;
pub use rotation::{Announced, Rotation};

use crate::{Error, store::signing_key::Model};

/// The keys as last read from the database; clones share them.
#[derive(Clone)]
pub(crate) struct KeyStore(Arc<Inner>);

struct Inner {
    ring: KeyRing,
    keys: RwLock<Vec<Arc<Key>>>,
}

/// One key.
pub(crate) struct Key {
    pub(crate) life: Life,
    pub(crate) public: VerificationKey,
    secret: Arc<SigningKey>,
}

impl KeyStore {
    /// A store that keeps `ring` up to date. It is empty until [`KeyStore::load`].
    pub(crate) fn new(ring: KeyRing) -> Self {
        Self(Arc::new(Inner { ring, keys: RwLock::default() }))
    }

    /// Takes over the rows of the database; opens what was not open before.
    pub(crate) fn load(&self, rows: &[Model], master: &MasterKey) -> Result<(), Error> {
        let before = self.all();
        let keys = rows
            .iter()
            .map(|row| {
                let open = before.iter().find(|key| key.public.key_id().as_str() == row.key_id);
                Key::read(row, open, master).map(Arc::new)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let ids = |keys: &[Arc<Key>]| {
            keys.iter().map(|key| key.public.key_id().clone()).collect::<Vec<_>>()
        };
        // A new ring empties the guards' caches: only where it is a new one.
        if ids(&keys) != ids(&before) {
            self.0.ring.replace(keys.iter().map(|key| key.public.clone()).collect());
        }
        *self.0.keys.write() = keys;
        Ok(())
    }

    /// The key that signs at `now`.
    ///
    /// # Errors
    /// [`Error::NoSigningKey`] before the first load.
    pub(crate) fn signing(&self, now: Timestamp) -> Result<Arc<Key>, Error> {
        let keys = self.0.keys.read();
        // A key retires when its successor signs: the last that signs is the one. Where a
        // clock was turned back behind all of them, the first is nearest to the truth.
        let begun = keys.iter().filter(|key| key.life.sign_time <= now);
        let key = begun.max_by_key(|key| key.life.sign_time).or(keys.first());
        key.cloned().ok_or(Error::NoSigningKey)
    }

    /// All keys, in the order in which they sign.
    pub(crate) fn all(&self) -> Vec<Arc<Key>> {
        self.0.keys.read().clone()
    }
}

impl Key {
    fn read(row: &Model, open: Option<&Arc<Self>>, master: &MasterKey) -> Result<Self, Error> {
        let life = Life::from(row);
        let secret = match open {
            Some(open) => Arc::clone(&open.secret),
            None => {
                let secret = master.open(&context(&row.key_id), &row.secret)?;
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
fn context(key_id: &str) -> Vec<u8> {
    format!("countersign/auth/signing_keys/secret/{key_id}").into_bytes()
}

impl fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.all().iter().map(|key| key.public.key_id().clone()).collect::<Vec<_>>();
        f.debug_tuple("KeyStore").field(&ids).finish()
    }
}
