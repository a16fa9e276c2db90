//! The master key: 32 random bytes from which every other key is derived. It
//! never encrypts anything itself.

use std::{fmt, path::Path, sync::Arc};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{
    Error, file,
    key::{self, KEY_ID_LEN, KEY_LEN},
    sealed,
};

const CANARY_CONTEXT: &[u8] = b"countersign canary";
const CANARY: &[u8] = b"the right master key opens this";

/// The root of all keys at rest. Clones share one copy, which is wiped when
/// the last of them goes.
#[derive(Clone)]
pub struct MasterKey(Arc<Keys>);

#[derive(Zeroize, ZeroizeOnDrop)]
struct Keys {
    master: [u8; KEY_LEN],
    sealing: [u8; KEY_LEN],
    id: [u8; KEY_ID_LEN],
}

impl MasterKey {
    /// A new key from the system's random source.
    ///
    /// # Errors
    /// [`Error::Random`] where the system gives no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let mut master = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(master.as_mut_slice()).map_err(|_| Error::Random)?;
        Ok(Self::from_bytes(&master))
    }

    /// Reads the key from a file: one line, `csmk1_` and the 32 bytes in
    /// base64url without padding. Of several lines the last.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Exposed`] for a file that others
    /// may touch ([`countersign_types::is_private`]), [`Error::NotAKey`], [`Error::File`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let keys = file::read(path)?;
        let latest = keys.last().ok_or_else(|| Error::NotAKey(path.into()))?;
        Ok(Self::from_bytes(latest))
    }

    /// Makes a new key and writes it to a new file of mode 0600. The file
    /// appears whole and on disk, or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`] (the file there stays as it is), [`Error::File`],
    /// [`Error::Random`].
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let key = Self::generate()?;
        file::write_new(path.as_ref(), &key.0.master)?;
        Ok(key)
    }

    /// Reads the key, or makes it where there is no file yet. Of several
    /// processes that start at once, all end with the same key.
    ///
    /// # Errors
    /// Those of [`MasterKey::load`] and [`MasterKey::create`].
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match Self::load(path) {
            Err(Error::Missing(_)) => match Self::create(path) {
                Err(Error::Exists(_)) => Self::load(path),
                made => made,
            },
            loaded => loaded,
        }
    }

    /// A public fingerprint, 16 hexadecimal digits; it tells nothing of the key.
    #[must_use]
    pub fn id(&self) -> String {
        key::id_text(&self.0.id)
    }

    /// Seals up to [`crate::PLAIN_MAX`] bytes with AES-256-GCM under a random
    /// nonce (NIST SP 800-38D, section 8.3: at most 2^32 pieces for one key).
    ///
    /// `context` says where the data belongs (table, column, row id); it is
    /// authenticated and not stored, so data moved elsewhere does not open.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Random`].
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        sealed::seal(&self.0.sealing, self.0.id, context, plain)
    }

    /// Opens what [`MasterKey::seal`] made with this key and the same `context`.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Malformed`], [`Error::Refused`].
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        sealed::open(&self.0.sealing, self.0.id, context, sealed)
    }

    /// A key for one purpose (HKDF-SHA256, RFC 5869, with `label` as info).
    /// The same label gives the same key for ever; no derived key reveals
    /// another or the master key.
    #[must_use]
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; KEY_LEN]> {
        expand(&self.0.master, &["countersign/derived/", label])
    }

    /// A sealed constant to keep beside the data, so that a start with another
    /// key is refused by [`MasterKey::check_canary`] before it does any harm.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn canary(&self) -> Result<Vec<u8>, Error> {
        self.seal(CANARY_CONTEXT, CANARY)
    }

    /// Whether `canary` was made with this key.
    ///
    /// # Errors
    /// [`Error::OtherKey`] names both keys; [`Error::Malformed`] and
    /// [`Error::Refused`] for something that is no canary.
    pub fn check_canary(&self, canary: &[u8]) -> Result<(), Error> {
        let opened = self.open(CANARY_CONTEXT, canary)?;
        if opened.as_slice() == CANARY { Ok(()) } else { Err(Error::Refused) }
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0.master
    }

    pub(crate) fn from_bytes(master: &[u8; KEY_LEN]) -> Self {
        Self(Arc::new(Keys {
            master: *master,
            sealing: *expand(master, &["countersign/sealing"]),
            id: *expand(master, &["countersign/id"]),
        }))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

fn expand<const N: usize>(master: &[u8; KEY_LEN], info: &[&str]) -> Zeroizing<[u8; N]> {
    let mut key = Zeroizing::new([0; N]);
    let info: Vec<&[u8]> = info.iter().map(|part| part.as_bytes()).collect();
    #[expect(clippy::expect_used, reason = "HKDF-SHA256 gives up to 8160 bytes; N is 8 or 32")]
    Hkdf::<Sha256>::new(None, master)
        .expand_multi_info(&info, key.as_mut_slice())
        .expect("a short key can be derived");
    key
}
