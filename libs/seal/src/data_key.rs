//! The key of one person's data, and the fields that are sealed with it.

use std::fmt;

use countersign_types::{SessionId, UserId};
use zeroize::Zeroizing;

use crate::{
    Error, MasterKeys,
    key::{KEY_ID_LEN, KEY_LEN},
    sealed,
};

/// Keeps what is sealed as a key from being taken for a field, and the reverse.
const KEY_DOMAIN: &[u8] = b"countersign data key\0";
const FIELD_DOMAIN: &[u8] = b"countersign field\0";

/// The key under which one service keeps what it knows of one person. Wiped
/// when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    user: UserId,
    version: i64,
    key: Zeroizing<[u8; KEY_LEN]>,
}

/// Where a sealed field belongs, beside its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    column: &'static str,
    row: [u8; 16],
}

impl Place {
    /// A column of which the person has one value, such as `profiles.bio`.
    #[must_use]
    pub const fn column(column: &'static str) -> Self {
        Self { column, row: [0; 16] }
    }

    /// A column of one of the person's sessions.
    #[must_use]
    pub fn of_session(column: &'static str, session: SessionId) -> Self {
        Self { column, row: session.as_uuid().into_bytes() }
    }

    /// The name of the column, which may be logged.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.column
    }
}

impl DataKey {
    /// A new key for `user` from the system's random source. Versions of one
    /// person's key are counted from 1.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(user: UserId, version: i64) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| Error::Random)?;
        Ok(Self { user, version, key })
    }

    /// The key as it is stored: sealed with the master key of the id `master`,
    /// for this person and version and no other.
    ///
    /// # Errors
    /// [`Error::Random`]; [`Error::OtherKey`] where `masters` has none of that id.
    pub fn wrap(&self, masters: &MasterKeys, master: &str) -> Result<Vec<u8>, Error> {
        let context = key_context(self.user, self.version);
        masters.get(master)?.seal(&context, self.key.as_slice())
    }

    /// Opens what [`DataKey::wrap`] made.
    ///
    /// # Errors
    /// [`Error::OtherKey`], [`Error::Malformed`], [`Error::Refused`].
    pub fn unwrap(
        masters: &MasterKeys,
        user: UserId,
        version: i64,
        wrapped: &[u8],
    ) -> Result<Self, Error> {
        let opened = masters.open(&key_context(user, version), wrapped)?;
        let key = opened.first_chunk::<KEY_LEN>().filter(|_| opened.len() == KEY_LEN);
        Ok(Self { user, version, key: Zeroizing::new(*key.ok_or(Error::Malformed)?) })
    }

    /// Whose key it is.
    #[must_use]
    pub const fn user(&self) -> UserId {
        self.user
    }

    /// Which of the person's keys it is.
    #[must_use]
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Seals a field of up to [`crate::PLAIN_MAX`] bytes, empty or not, with
    /// AES-256-GCM. It opens at this place, for this person and version only.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Random`].
    pub fn seal(&self, place: Place, plain: &[u8]) -> Result<Vec<u8>, Error> {
        sealed::seal(&self.key, self.id(), &self.context(place), plain)
    }

    /// Opens what [`DataKey::seal`] made.
    ///
    /// # Errors
    /// [`Error::Refused`] for anything that was changed, moved from elsewhere or
    /// sealed with another version; [`Error::Malformed`].
    pub fn open(&self, place: Place, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let opened = sealed::open(&self.key, self.id(), &self.context(place), sealed);
        opened.map_err(|error| match error {
            // No master key is meant: it is another version's.
            Error::OtherKey { .. } => Error::Refused,
            other => other,
        })
    }

    const fn id(&self) -> [u8; KEY_ID_LEN] {
        self.version.to_be_bytes()
    }

    // All parts but the last have a fixed length: it cannot be read two ways.
    fn context(&self, place: Place) -> Vec<u8> {
        let (user, version) = (self.user.as_uuid(), self.version.to_be_bytes());
        [FIELD_DOMAIN, user.as_bytes(), &version, &place.row, place.column.as_bytes()].concat()
    }
}

fn key_context(user: UserId, version: i64) -> Vec<u8> {
    [KEY_DOMAIN, user.as_uuid().as_bytes(), &version.to_be_bytes()].concat()
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({}, {})", self.user, self.version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Keys of the same bytes, which no program makes: only what they are bound to differs.
        #[test]
        fn a_field_of_another_person_or_version_is_refused_by_the_very_same_bytes(
            plain: Vec<u8>, version in 2..9_i64,
        ) {
            let (ada, bob) = (UserId::generate(), UserId::generate());
            let place = Place::column("profiles.bio");
            let key = DataKey::generate(ada, version).unwrap();
            let sealed = key.seal(place, &plain).unwrap();
            let bound = |user, version| DataKey { user, version, ..key.clone() };
            for other in [bound(bob, version), bound(ada, version - 1)] {
                prop_assert!(matches!(other.open(place, &sealed), Err(Error::Refused)));
            }
            prop_assert!(bound(ada, version).open(place, &sealed).is_ok());
        }
    }
}
