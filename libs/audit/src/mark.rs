//! A place in a chain and its hash, and the statement by which a key vouches for it.

use countersign_tokens::{KeyId, SigningKey, VerificationKey, sign_statement, verify_statement};
use countersign_types::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Error;

/// What a statement says of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    /// The chain was this there.
    Checkpoint,
    /// What is up to there was deleted when its time was over.
    Floor,
}

/// A place in the chain of a service, and what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) source: String,
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) time: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    source: String,
    place: i64,
    /// Hexadecimal.
    hash: String,
    /// Microseconds since 1970.
    time: i64,
}

impl Usage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Checkpoint => "audit checkpoint",
            Self::Floor => "audit floor",
        }
    }
}

impl Mark {
    pub(crate) fn sign(&self, usage: Usage, key: &SigningKey) -> Result<String, Error> {
        let payload = Payload {
            source: self.source.clone(),
            place: self.seq,
            hash: hex(&self.hash),
            time: self.time.as_micros(),
        };
        let text = serde_json::to_vec(&payload).map_err(|_| Error::Statement)?;
        Ok(sign_statement(key, usage.as_str(), &text)?)
    }

    /// The mark in a statement that one of `keys` has signed for this use.
    pub(crate) fn read(
        statement: &str,
        usage: Usage,
        keys: &[VerificationKey],
    ) -> Result<(Self, KeyId), Error> {
        let (text, key) = verify_statement(statement, usage.as_str(), keys)?;
        let payload: Payload = serde_json::from_slice(&text).map_err(|_| Error::Statement)?;
        let hash = unhex(&payload.hash).ok_or(Error::Statement)?;
        let time = Timestamp::from_micros(payload.time);
        Ok((Self { source: payload.source, seq: payload.place, hash, time }, key))
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}
