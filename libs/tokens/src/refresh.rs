//! Refresh tokens: session, generation and a MAC under a key of the server.
//!
//! Checking one costs no read of the database, and issuing one is a function
//! of its content: the same generation gives the same token.

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_types::SessionId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::Error;

/// Tells a refresh token from everything else, and its format from later ones.
const PREFIX: &str = "csr1_";
/// Keeps a MAC made here from meaning anything elsewhere.
const DOMAIN: &[u8] = b"countersign refresh token 1\0";
const SESSION_BYTES: usize = 16;
const GENERATION_BYTES: usize = 8;
const MAC_BYTES: usize = 32;
/// A block of SHA-256: HMAC pads a shorter key to it with zeros (RFC 2104, section 2).
const BLOCK_BYTES: usize = 64;
const CONTENT_BYTES: usize = SESSION_BYTES + GENERATION_BYTES;
/// 56 octets in base64 without padding.
const ENCODED_BYTES: usize = (CONTENT_BYTES + MAC_BYTES) * 4 / 3 + 1;

/// Issues and checks refresh tokens. Secret: wiped when dropped.
pub struct RefreshKey(Zeroizing<[u8; BLOCK_BYTES]>);

/// What a refresh token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefreshToken {
    /// The session that it continues.
    pub session: SessionId,
    /// Which of the session's refresh tokens it is, counted from the login.
    pub generation: i64,
}

impl RefreshKey {
    /// A key from 32 secret octets.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        for (padded, byte) in block.iter_mut().zip(bytes) {
            *padded = *byte;
        }
        Self(block)
    }

    /// Issues a refresh token; the same content gives the same token.
    #[must_use]
    pub fn issue(&self, token: &RefreshToken) -> String {
        let mut bytes = Zeroizing::new(Vec::with_capacity(CONTENT_BYTES + MAC_BYTES));
        bytes.extend_from_slice(token.session.as_uuid().as_bytes());
        bytes.extend_from_slice(&token.generation.to_be_bytes());
        let mac = self.mac(&bytes).finalize().into_bytes();
        bytes.extend_from_slice(&mac);

        let mut text = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        text
    }

    /// Reads a refresh token that this key has issued. The MAC is compared in
    /// constant time.
    ///
    /// # Errors
    /// [`Error::TooLarge`] or [`Error::Malformed`] for a text of another form,
    /// [`Error::BadSignature`] for one that was not issued with this key.
    pub fn check(&self, text: &str) -> Result<RefreshToken, Error> {
        if text.len() > PREFIX.len() + ENCODED_BYTES {
            return Err(Error::TooLarge);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(Error::Malformed)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Error::Malformed)?;
        let bytes = Zeroizing::new(bytes);
        let (content, mac) = bytes.split_at_checked(CONTENT_BYTES).ok_or(Error::Malformed)?;
        if mac.len() != MAC_BYTES {
            return Err(Error::Malformed);
        }
        self.mac(content).verify_slice(mac).map_err(|_| Error::BadSignature)?;

        let (session, generation) = content
            .split_first_chunk::<SESSION_BYTES>()
            .and_then(|(session, rest)| Some((*session, rest.first_chunk::<GENERATION_BYTES>()?)))
            .ok_or(Error::Malformed)?;
        Ok(RefreshToken {
            session: SessionId::from(uuid::Uuid::from_bytes(session)),
            generation: i64::from_be_bytes(*generation),
        })
    }

    fn mac(&self, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new((&*self.0).into());
        mac.update(DOMAIN);
        mac.update(content);
        mac
    }
}

impl fmt::Debug for RefreshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshKey(hidden)")
    }
}
