//! The master keys of a file: all of them open, and which of them seals is not
//! decided here.

use std::{
    fmt,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use zeroize::Zeroizing;

use crate::{Error, MasterKey, file, key::id_text, sealed};

/// The master keys of one file, the latest last. Clones share them.
#[derive(Clone)]
pub struct MasterKeys(Arc<Inner>);

struct Inner {
    /// None: they were never in a file.
    path: Option<PathBuf>,
    keys: RwLock<Vec<MasterKey>>,
    /// The file as it was read last.
    seen: Mutex<Option<Seen>>,
}

/// What tells one state of a file from the next without reading it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    file: u64,
    length: u64,
    changed: (i64, i64),
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        let about = path.metadata().ok()?;
        let changed = (about.ctime(), about.ctime_nsec());
        Some(Self { file: about.ino(), length: about.len(), changed })
    }
}

impl MasterKeys {
    /// Reads the keys from a file: a line for each, of 1 to [`crate::KEYS_MAX`].
    ///
    /// # Errors
    /// Those of [`MasterKey::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(Self::new(Some(path.to_path_buf()), read(path)?))
    }

    /// Reads the keys, or makes a file with one where there is none yet. Of
    /// several processes that start at once, all end with the same key.
    ///
    /// # Errors
    /// Those of [`MasterKey::load_or_create`].
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match Self::load(path) {
            Err(Error::Missing(_)) => match MasterKey::create(path) {
                Err(Error::Exists(_)) | Ok(_) => Self::load(path),
                Err(error) => Err(error),
            },
            loaded => loaded,
        }
    }

    /// The key of that id ([`MasterKey::id`]). Where it is not known and the file
    /// is another one by now, that is read again.
    ///
    /// # Errors
    /// [`Error::OtherKey`] where it is in the file neither.
    pub fn get(&self, id: &str) -> Result<MasterKey, Error> {
        if let Some(key) = self.known(id) {
            return Ok(key);
        }
        self.look_again();
        let other = || Error::OtherKey { sealed_with: id.to_owned(), this: self.ids().join(", ") };
        self.known(id).ok_or_else(other)
    }

    /// Opens what one of these keys sealed, with the same `context`.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Malformed`], [`Error::Refused`].
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.get(&Self::sealed_with(sealed)?)?.open(context, sealed)
    }

    /// The id of the key that sealed something.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn sealed_with(sealed: &[u8]) -> Result<String, Error> {
        Ok(id_text(sealed::key_id(sealed)?))
    }

    /// The last key of the file as it is now.
    ///
    /// # Errors
    /// [`Error::Malformed`] where there is none, which no file allows.
    pub fn latest(&self) -> Result<MasterKey, Error> {
        self.look_again();
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.last().cloned().ok_or(Error::Malformed)
    }

    /// Makes a new key and adds it to the file, as its last line. The file is
    /// replaced as a whole, or stays as it is. Of several processes that add one
    /// at once, none takes away another's.
    ///
    /// # Errors
    /// [`Error::TooMany`], [`Error::File`] where it cannot be written,
    /// [`Error::Random`].
    pub fn add(&self) -> Result<MasterKey, Error> {
        let path = self.0.path.as_deref().ok_or_else(|| Error::Missing(PathBuf::new()))?;
        let added = MasterKey::generate()?;
        let _alone = file::lock(path)?;
        let mut keys = read(path)?;
        keys.push(added.clone());
        file::replace(path, &keys)?;
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(added)
    }

    /// The ids of all, in the order of the file.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(MasterKey::id).collect()
    }

    /// The file, where there is one.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    fn new(path: Option<PathBuf>, keys: Vec<MasterKey>) -> Self {
        Self(Arc::new(Inner { path, keys: RwLock::new(keys), seen: Mutex::default() }))
    }

    fn known(&self, id: &str) -> Option<MasterKey> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.iter().find(|key| key.id() == id).cloned()
    }

    /// A file that cannot be read now leaves the keys as they are.
    fn look_again(&self) {
        let Some(path) = &self.0.path else { return };
        let mut seen = self.0.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Seen::of(path);
        if now.is_none() || *seen == now {
            return;
        }
        if let Ok(keys) = read(path) {
            *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
            *seen = now;
        }
    }
}

/// A single key that is in no file.
impl From<MasterKey> for MasterKeys {
    fn from(key: MasterKey) -> Self {
        Self::new(None, vec![key])
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKeys").field(&self.ids()).finish()
    }
}

fn read(path: &Path) -> Result<Vec<MasterKey>, Error> {
    let keys = file::read(path)?;
    Ok(keys.iter().map(|key| MasterKey::from_bytes(key)).collect())
}
