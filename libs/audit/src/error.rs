//! What can go wrong with the trail.

use std::time::Duration;

use countersign_mesh::database;
use countersign_types::{Code, Fault, Violation};
use sea_orm::DbErr;

/// Why an entry could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The database refused or is away.
    #[error("the audit trail failed: {}", countersign_events::reason(.0))]
    Database(#[from] DbErr),
    /// A transaction could not be begun or committed.
    #[error(transparent)]
    Unit(#[from] countersign_events::Error),
    /// No more entries can wait.
    #[error("the audit trail takes no more entries for now")]
    Full,
    /// A list was asked for in words that are not understood.
    #[error("the request breaks {} rules", .0.len())]
    Invalid(Vec<Violation>),
    /// A key does not sign, or a statement does not hold.
    #[error("the audit key failed: {0}")]
    Tokens(#[from] countersign_tokens::Error),
    /// A key cannot be sealed or opened.
    #[error(transparent)]
    Seal(#[from] countersign_seal::Error),
    /// A statement says something else than it should.
    #[error("a signed statement of the audit trail says something else than it should")]
    Statement,
    /// A policy asks for an attribute that entries do not have.
    #[error("policies ask for an attribute that entries of the audit trail do not have")]
    Unlistable,
    /// Entries are due to be deleted, and the chain up to there is not what it was.
    #[error(
        "the audit trail was changed at place {0}: nothing of it is deleted; run countersign audit verify"
    )]
    Changed(i64),
    /// What was read could not be handed on.
    #[error("the entries cannot be written: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// The error of the database beneath, where that is what it is.
    #[must_use]
    pub const fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) | Self::Unit(countersign_events::Error::Database(error)) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// Whether a transaction lost against another and never was: doing it
    /// again is right.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.database().is_some_and(database::is_conflict)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        if let Some(error) = error.database() {
            return database::fault(error);
        }
        match error {
            Error::Unit(error) => error.into(),
            Error::Invalid(violations) => Self::invalid(violations),
            Error::Full => {
                let message = "what is read cannot be put on record for now";
                Self::new(Code::Unavailable, "AUDIT_UNAVAILABLE", message)
                    .retry_after(Duration::from_secs(1))
            }
            Error::Database(_)
            | Error::Tokens(_)
            | Error::Seal(_)
            | Error::Statement
            | Error::Unlistable
            | Error::Changed(_)
            | Error::Output(_) => Self::internal(),
        }
    }
}
