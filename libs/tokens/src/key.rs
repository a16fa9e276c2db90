//! Keys of PASETO v4.public and their ids.

use std::fmt;

use pasetors::{
    keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate},
    paserk::{FormatAsPaserk, Id},
    version4::V4,
};
use zeroize::Zeroizing;

use crate::Error;

const KEY_ID_PREFIX: &str = "k4.pid.";
/// Characters of a key id (PASERK, `k4.pid`): 33 octets in base64 after the prefix.
const KEY_ID_BYTES: usize = KEY_ID_PREFIX.len() + 44;

/// Names a verification key: a hash of it (PASERK type `k4.pid`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

/// Verifies tokens. Public.
#[derive(Clone)]
pub struct VerificationKey {
    key: AsymmetricPublicKey<V4>,
    id: KeyId,
}

/// Signs tokens. Secret: shows itself nowhere and is wiped when dropped.
pub struct SigningKey {
    key: AsymmetricSecretKey<V4>,
    public: VerificationKey,
}

impl KeyId {
    /// Reads a key id; its length and alphabet are checked, not whether such a key exists.
    ///
    /// # Errors
    /// [`Error::Malformed`] for anything that is not a `k4.pid`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let known = text.len() == KEY_ID_BYTES
            && text.strip_prefix(KEY_ID_PREFIX).is_some_and(|id| {
                id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            });
        if known { Ok(Self(text.to_owned())) } else { Err(Error::Malformed) }
    }

    /// The id as it stands in footers.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl VerificationKey {
    /// Reads a key from its PASERK text, `k4.public.…`.
    ///
    /// # Errors
    /// [`Error::Key`] when the text is no such key.
    pub fn from_paserk(paserk: &str) -> Result<Self, Error> {
        Self::new(AsymmetricPublicKey::try_from(paserk).map_err(|_| Error::Key)?)
    }

    /// The key as PASERK text, `k4.public.…`.
    #[must_use]
    pub fn paserk(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.key.fmt(&mut text);
        text
    }

    /// The id by which tokens name this key.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.id
    }

    pub(crate) const fn key(&self) -> &AsymmetricPublicKey<V4> {
        &self.key
    }

    fn new(key: AsymmetricPublicKey<V4>) -> Result<Self, Error> {
        let mut id = String::new();
        Id::from(&key).fmt(&mut id).map_err(|_| Error::Key)?;
        Ok(Self { key, id: KeyId(id) })
    }
}

impl PartialEq for VerificationKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for VerificationKey {}

impl fmt::Debug for VerificationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerificationKey({})", self.id)
    }
}

impl SigningKey {
    /// A new key from the system's random bytes.
    ///
    /// # Errors
    /// [`Error::Random`] when there are none to be had.
    pub fn generate() -> Result<Self, Error> {
        let pair = AsymmetricKeyPair::<V4>::generate().map_err(|_| Error::Random)?;
        Ok(Self { public: VerificationKey::new(pair.public)?, key: pair.secret })
    }

    /// A key from the bytes that [`Self::to_secret_bytes`] gave.
    ///
    /// # Errors
    /// [`Error::Key`] when these are no such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let key = AsymmetricSecretKey::<V4>::from(bytes).map_err(|_| Error::Key)?;
        let public = AsymmetricPublicKey::try_from(&key).map_err(|_| Error::Key)?;
        Ok(Self { public: VerificationKey::new(public)?, key })
    }

    /// The secret itself (64 octets, seed and public key), to be sealed and stored.
    #[must_use]
    pub fn to_secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.key.as_bytes().to_vec())
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verification_key(&self) -> VerificationKey {
        self.public.clone()
    }

    /// The id by which tokens name this key.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        self.public.key_id()
    }

    pub(crate) const fn key(&self) -> &AsymmetricSecretKey<V4> {
        &self.key
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, secret hidden)", self.public.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_back_what_they_wrote() -> Result<(), Error> {
        let key = SigningKey::generate()?;
        let again = SigningKey::from_bytes(&key.to_secret_bytes())?;
        assert_eq!(again.verification_key(), key.verification_key());

        let paserk = key.verification_key().paserk();
        assert!(paserk.starts_with("k4.public."));
        assert_eq!(VerificationKey::from_paserk(&paserk)?.key_id(), key.key_id());
        assert_eq!(KeyId::parse(key.key_id().as_str()).as_ref(), Ok(key.key_id()));
        Ok(())
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert_eq!(SigningKey::from_bytes(&[7; 64]).err(), Some(Error::Key));
        assert_eq!(SigningKey::from_bytes(&[]).err(), Some(Error::Key));
        for text in ["", "k4.public.", "k4.secret.AAAA", "k2.public.AAAA", "k4.public.AAAA"] {
            assert_eq!(VerificationKey::from_paserk(text).err(), Some(Error::Key), "{text}");
        }
    }

    #[test]
    fn a_signing_key_does_not_show_its_secret() -> Result<(), Error> {
        let key = SigningKey::generate()?;
        let shown = format!("{key:?}");
        assert_eq!(shown, format!("SigningKey({}, secret hidden)", key.key_id()));
        Ok(())
    }
}
