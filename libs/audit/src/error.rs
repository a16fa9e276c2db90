//! What can go wrong with the trail.

use countersign_types::Fault;
use sea_orm::DbErr;

/// Why an entry could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused or is away.
    #[error("the audit trail failed: {}", countersign_events::reason(.0))]
    Database(#[from] DbErr),
    /// A transaction could not be begun or committed.
    #[error(transparent)]
    Unit(#[from] countersign_events::Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => countersign_events::Error::from(error).into(),
            Error::Unit(error) => error.into(),
        }
    }
}
