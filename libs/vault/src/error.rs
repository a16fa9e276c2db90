//! What can go wrong with the keys of a service, and with what they seal.

use std::fmt;

use countersign_types::{Code, Fault, UserId};
use sea_orm::DbErr;

/// Why a vault could not be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database belongs to another master key.
    #[error(
        "the master key does not fit this database ({0}); put back the key file that was made \
         with it, or point to the database that belongs to this key"
    )]
    MasterKey(#[source] countersign_seal::Error),
    /// A key could not be made, sealed or opened.
    #[error("sealed data: {0}")]
    Seal(#[from] countersign_seal::Error),
    /// A row does not hold what it must.
    #[error("a stored {0} is damaged")]
    Damaged(&'static str),
    /// Something that is sealed for a person does not open.
    #[error(transparent)]
    Lost(#[from] Damage),
    /// Another exchange of keys has begun and has to come to its end first.
    #[error("{0}")]
    Busy(&'static str),
    /// The database failed.
    #[error("the database failed: {}", countersign_events::reason(.0))]
    Database(#[from] DbErr),
    /// A transaction could not be begun or committed.
    #[error(transparent)]
    Unit(#[from] countersign_events::Error),
}

/// A sealed field or key that does not open: whose, and which, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Damage {
    /// The person whose row it stands in.
    pub user: UserId,
    /// Table and column.
    pub column: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what is stored in {} of {} does not open", self.column, self.user)
    }
}

impl Damage {
    /// Tells the log, once for each time that it is met.
    #[must_use]
    pub fn logged(self) -> Self {
        tracing::error!(user.id = %self.user, db.column = self.column, "sealed data does not open");
        self
    }
}

/// A client learns that this one is lost, and no more.
impl From<Damage> for Fault {
    fn from(_: Damage) -> Self {
        let message = "what is stored was damaged and can not be read: tell the operator";
        Self::new(Code::DataLoss, "DATA_DAMAGED", message)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Lost(damage) => damage.into(),
            Error::Database(error) => countersign_events::Error::from(error).into(),
            Error::Unit(error) => error.into(),
            ours => {
                // None of these carries a key or a personal datum in its text.
                tracing::error!(error = %ours, "the vault failed");
                Self::internal()
            }
        }
    }
}
