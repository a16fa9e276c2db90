//! A keyed hash by which a sealed value is found again. It tells that two
//! values are the same, and nothing else to whoever has not got the key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key::KEY_LEN;

/// Bytes of a keyed hash: two values never share one by chance.
pub const BLIND_LEN: usize = 32;
/// A block of SHA-256: HMAC pads a shorter key to it with zeros (RFC 2104, section 2).
const BLOCK_LEN: usize = 64;
const DOMAIN: &[u8] = b"countersign blind index\0";

/// Makes the keyed hashes (HMAC-SHA-256) of one column. Wiped when dropped.
pub struct BlindIndex {
    column: &'static str,
    key: Zeroizing<[u8; BLOCK_LEN]>,
}

impl BlindIndex {
    /// For `column`, such as `accounts.email`, under a secret key of 32 bytes.
    #[must_use]
    pub fn new(column: &'static str, key: &[u8; KEY_LEN]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK_LEN]);
        for (padded, byte) in block.iter_mut().zip(key) {
            *padded = *byte;
        }
        Self { column, key: block }
    }

    /// The keyed hash of a value, which has to be normalised.
    #[must_use]
    pub fn of(&self, value: &str) -> [u8; BLIND_LEN] {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        mac.update(DOMAIN);
        mac.update(self.column.as_bytes());
        mac.update(b"\0");
        mac.update(value.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for BlindIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlindIndex({})", self.column)
    }
}
