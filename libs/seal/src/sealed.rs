//! The format of sealed data:
//! version (1 byte) · key id (8) · nonce (12) · ciphertext · tag (16).
//! Version, key id and the caller's context are authenticated with it.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload, consts::U12},
};
use zeroize::Zeroizing;

use crate::{
    Error,
    key::{KEY_ID_LEN, KEY_LEN, id_text},
};

/// The most that is sealed in one piece, in bytes: 1 MiB.
pub const PLAIN_MAX: usize = 1 << 20;

const VERSION: u8 = 1;
const HEADER_LEN: usize = 1 + KEY_ID_LEN;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

pub(crate) fn seal(
    key: &[u8; KEY_LEN],
    key_id: [u8; KEY_ID_LEN],
    context: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Error> {
    if plain.len() > PLAIN_MAX {
        return Err(Error::TooLong);
    }
    let mut nonce = [0; NONCE_LEN];
    getrandom::fill(&mut nonce).map_err(|_| Error::Random)?;
    let mut sealed = Vec::with_capacity(HEADER_LEN + NONCE_LEN + plain.len() + TAG_LEN);
    sealed.push(VERSION);
    sealed.extend_from_slice(&key_id);
    let aad = aad(&sealed, context);
    sealed.extend_from_slice(&nonce);
    let payload = Payload { msg: plain, aad: &aad };
    let nonce = Nonce::<U12>::from(nonce);
    let body = cipher(key).encrypt(&nonce, payload).map_err(|_| Error::TooLong)?;
    sealed.extend_from_slice(&body);
    Ok(sealed)
}

pub(crate) fn open(
    key: &[u8; KEY_LEN],
    key_id: [u8; KEY_ID_LEN],
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let (header, rest) = sealed.split_at_checked(HEADER_LEN).ok_or(Error::Malformed)?;
    let [VERSION, sealed_with @ ..] = header else { return Err(Error::Malformed) };
    if sealed_with != key_id {
        let (sealed_with, this) = (id_text(sealed_with), id_text(&key_id));
        return Err(Error::OtherKey { sealed_with, this });
    }
    let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Error::Malformed)?;
    let payload = Payload { msg: body, aad: &aad(header, context) };
    let nonce = Nonce::<U12>::from(*nonce);
    cipher(key).decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| Error::Refused)
}

/// The id in front of sealed data.
pub(crate) fn key_id(sealed: &[u8]) -> Result<&[u8], Error> {
    match sealed.split_at_checked(HEADER_LEN) {
        Some(([VERSION, id @ ..], _)) => Ok(id),
        _ => Err(Error::Malformed),
    }
}

fn cipher(key: &[u8; KEY_LEN]) -> Aes256Gcm {
    Aes256Gcm::new(key.into())
}

// The header has a fixed length: header and context cannot be read two ways.
fn aad(header: &[u8], context: &[u8]) -> Vec<u8> {
    [header, context].concat()
}
