//! What goes wrong in the user service, and what a client hears of it.

use countersign_mesh::database;
use countersign_types::{Code, Fault, Violation};
use countersign_vault::Damage;
use sea_orm::DbErr;

/// Why a call, an event or the start of the service failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The request breaks rules of input.
    #[error("the request breaks {} rules", .0.len())]
    Invalid(Vec<Violation>),
    /// The account exists, or existed, and has no profile (yet).
    #[error("the profile does not exist")]
    ProfileNotFound,
    /// Somebody else changed the profile first.
    #[error("the profile was changed in the meantime")]
    EtagMismatch,
    /// The metadata of a row cannot be read or written as JSON.
    #[error("stored metadata is not readable")]
    Metadata(#[source] serde_json::Error),
    /// The keys do not fit the database, or what is sealed with them does not open.
    #[error(transparent)]
    Vault(#[from] countersign_vault::Error),
    /// The auth service answers what its contract does not say.
    #[error("the records of an account are in disorder")]
    Accounts,
    /// The database failed.
    #[error("the database failed: {}", countersign_events::reason(.0))]
    Database(#[from] DbErr),
    /// The outbox failed.
    #[error("the outbox failed: {0}")]
    Events(#[from] countersign_events::Error),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(#[from] countersign_audit::Error),
    /// The tables could not be brought up to date.
    #[error(transparent)]
    Mesh(#[from] countersign_mesh::Error),
    /// A part of the system refused in words that a client may hear.
    #[error(transparent)]
    Refused(#[from] Fault),
}

impl Error {
    /// Whether the transaction lost against another and never was: doing it
    /// again is right.
    pub(crate) fn is_conflict(&self) -> bool {
        use countersign_events::Error as Outbox;
        match self {
            Self::Database(error)
            | Self::Vault(countersign_vault::Error::Database(error))
            | Self::Events(Outbox::Database(error)) => database::is_conflict(error),
            Self::Audit(error) => error.is_conflict(),
            _ => false,
        }
    }
}

impl From<countersign_seal::Error> for Error {
    fn from(error: countersign_seal::Error) -> Self {
        Self::Vault(error.into())
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Vault(damage.into())
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(violations) => Self::invalid(violations),
            Error::ProfileNotFound => {
                let message = "the profile does not exist";
                Self::new(Code::NotFound, "PROFILE_NOT_FOUND", message)
            }
            Error::EtagMismatch => {
                let message = "the profile was changed in the meantime: read it again";
                Self::new(Code::Aborted, "ETAG_MISMATCH", message)
            }
            Error::Database(error)
            | Error::Vault(countersign_vault::Error::Database(error))
            | Error::Events(countersign_events::Error::Database(error)) => database::fault(&error),
            Error::Vault(error) => error.into(),
            Error::Events(error) => error.into(),
            Error::Mesh(_) | Error::Accounts => Self::internal(),
            Error::Audit(error) => error.into(),
            Error::Refused(fault) => fault,
            Error::Metadata(error) => {
                // Where, not what: the text of the error could quote a value.
                let position = error.column();
                tracing::error!(json.column = position, "stored metadata is not readable");
                Self::internal()
            }
        }
    }
}
