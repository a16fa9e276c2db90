//! What can go wrong between a change and its event.

use std::time::Duration;

use countersign_types::{Code, Fault};
use sea_orm::DbErr;

use crate::reason;

/// Why an event could not be stored, read or published.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error("the event store failed: {}", reason(.0))]
    Database(#[from] DbErr),
    /// The event is of another kind than its reader asked for.
    #[error("an event of kind {found} was read as {expected}")]
    Kind {
        /// The kind that the reader asked for.
        expected: String,
        /// The kind that the event has.
        found: String,
    },
    /// The event's data are not the message that its kind names.
    #[error("the data of an event of kind {kind} do not decode: {source}")]
    Decode {
        /// The kind of the event.
        kind: String,
        /// Where decoding stopped.
        source: prost::DecodeError,
    },
    /// The broker does not do what was asked, for now.
    #[error("{what}: {source}")]
    Broker {
        /// What was asked.
        what: &'static str,
        /// What it answered.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no connection to the broker.
    #[error("the broker is away")]
    Away,
    /// The way to the broker cannot be tried at all.
    #[error("{what}: {source}")]
    Setup {
        /// What is wrong with it.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The encoded event is longer than [`crate::DATA_MAX`].
    #[error("an event of kind {kind} has {length} bytes, more than an event may have")]
    TooLong {
        /// The kind of the event.
        kind: String,
        /// Its length in bytes.
        length: usize,
    },
    /// The process stops while a change begins, or is being made permanent.
    #[error("the process stopped before a commit was answered")]
    Interrupted,
}

impl Error {
    pub(crate) fn broker(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Broker { what, source: source.into() }
    }
}

/// A failed database is worth another try; everything else here is a fault of
/// ours. An `api` that wants to tell a full disk from a lock looks into
/// [`Error::Database`] itself.
impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(_) | Error::Interrupted => {
                Self::new(Code::Unavailable, "STORAGE_UNAVAILABLE", "the storage is not available")
                    .retry_after(Duration::from_secs(1))
            }
            Error::Kind { .. } | Error::Decode { .. } => {
                Self::new(Code::Internal, "EVENT_MALFORMED", "an event could not be read")
            }
            Error::Broker { .. } | Error::Away => {
                Self::new(Code::Unavailable, "BROKER_UNAVAILABLE", "the broker is not available")
                    .retry_after(Duration::from_secs(1))
            }
            Error::TooLong { .. } | Error::Setup { .. } => Self::internal(),
        }
    }
}
