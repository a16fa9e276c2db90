//! The stages in the life of a signing key, read off its times.

use countersign_types::Timestamp;

use crate::store::signing_key::Model;

/// The times of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// The name of the key (PASERK `k4.pid`).
    pub key_id: String,
    /// When it was published.
    pub announce_time: Timestamp,
    /// From when on it signs.
    pub sign_time: Timestamp,
    /// When its successor signs; `None` as long as it has none.
    pub retire_time: Option<Timestamp>,
    /// When the last of its tokens has expired.
    pub remove_time: Option<Timestamp>,
}

/// Where a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Published, and signs nothing yet.
    Announced,
    /// Signs new tokens.
    Signing,
    /// Signs nothing any more, and verifies the tokens that still live.
    Retiring,
    /// Nothing that it signed is valid any more.
    Removed,
}

impl Life {
    /// Where the key stands at `now`.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> State {
        let passed = |time: Option<Timestamp>| time.is_some_and(|time| time <= now);
        if passed(self.remove_time) {
            State::Removed
        } else if passed(self.retire_time) {
            State::Retiring
        } else if self.sign_time <= now {
            State::Signing
        } else {
            State::Announced
        }
    }
}

impl From<&Model> for Life {
    fn from(row: &Model) -> Self {
        Self {
            key_id: row.key_id.clone(),
            announce_time: Timestamp::from_micros(row.announce_time),
            sign_time: Timestamp::from_micros(row.sign_time),
            retire_time: row.retire_time.map(Timestamp::from_micros),
            remove_time: row.remove_time.map(Timestamp::from_micros),
        }
    }
}
