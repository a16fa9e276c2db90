//! What goes wrong in the auth service, and what a client hears of it.

use std::{io, path::PathBuf, time::Duration};

use countersign_mesh::database;
use countersign_types::{Code, Fault, Violation};
use countersign_vault::Damage;
use sea_orm::DbErr;

/// When a hash is worth another try: the queue before the threads is short.
const HASHING_RETRY: Duration = Duration::from_secs(1);
/// When a new account is worth another try: its profile takes milliseconds.
const PENDING_RETRY: Duration = Duration::from_secs(1);

/// Why a call, an event, a start or an operator's command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of bounds.
    #[error("setting {key} {problem}")]
    Config {
        /// The key, below this service's section.
        key: &'static str,
        /// What it is and what it must be.
        problem: String,
    },
    /// A file that a setting names can not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others than the owner may touch the pepper.
    #[error("pepper file {path} is open to others: run chmod 0600 {path}", path = .0.display())]
    PepperExposed(PathBuf),
    /// The pepper is too short or too long.
    #[error("the pepper in {path} must have 16 to 1024 bytes", path = .0.display())]
    PepperLength(PathBuf),
    /// The passwords in the database were hashed with another pepper, or with one at all.
    #[error(
        "the pepper does not fit this database: its passwords were hashed with pepper {stored}, \
         and the settings give {given}; set hashing.pepper_file to the file that belongs to it"
    )]
    PepperChanged {
        /// Fingerprint of the pepper in use.
        stored: String,
        /// Fingerprint of the pepper in the settings, or `none`.
        given: String,
    },
    /// The keys do not fit the database, or what is sealed with them does not open.
    #[error(transparent)]
    Vault(countersign_vault::Error),
    /// The tables can not be brought up to date.
    #[error(transparent)]
    Mesh(#[from] countersign_mesh::Error),
    /// The system gives no thread.
    #[error("cannot start a hashing thread: {0}")]
    Threads(#[source] io::Error),
    /// The request breaks rules of input.
    #[error("the request breaks {} rules", .0.len())]
    Invalid(Vec<Violation>),
    /// There is an account with this address.
    #[error("the address is taken")]
    EmailTaken,
    /// Unknown address or wrong password: nobody outside learns which.
    #[error("the address or the password is wrong")]
    BadCredentials,
    /// The password is right, and the profile is not made yet.
    #[error("the account is not active yet")]
    AccountPending,
    /// The password is right, and an administrator has disabled the account.
    #[error("the account is disabled")]
    AccountDisabled,
    /// The password is right, and the account waits for its deletion.
    #[error("the account is to be deleted")]
    AccountDeleting,
    /// There is no such account.
    #[error("the account does not exist")]
    AccountNotFound,
    /// What was deleted can not be changed.
    #[error("the account is deleted")]
    AccountDeleted,
    /// The change would leave nobody who could undo it.
    #[error("the account is that of the last administrator")]
    LastAdministrator,
    /// The account is not in the state that the caller knows.
    #[error("the account has another etag")]
    EtagMismatch,
    /// Somebody else changed the account between reading and writing it.
    #[error("the account was changed in the meantime")]
    AccountChanged,
    /// Too many attempts.
    #[error("too many attempts")]
    Throttled {
        /// After which time the next one is looked at.
        retry_after: Duration,
    },
    /// The queue before the hashing threads is full.
    #[error("too many passwords are being hashed")]
    HashingBusy,
    /// The hashing threads are gone: the process stops, or a hash panicked.
    #[error("the password was not hashed")]
    HashingStopped,
    /// Argon2 refused, or a stored hash is damaged.
    #[error("hashing failed: {0}")]
    Hashing(#[from] argon2::password_hash::Error),
    /// A stored hash was made with another pepper.
    #[error("a stored hash was made with another pepper")]
    OtherPepper,
    /// Not a refresh token of ours.
    #[error("the refresh token is not valid")]
    RefreshInvalid,
    /// A refresh token was used a second time; its session is revoked.
    #[error("the refresh token was used before")]
    RefreshReused,
    /// The session is over: logged out, revoked, expired, or gone.
    #[error("the session has ended")]
    SessionEnded,
    /// There is no such session.
    #[error("the session does not exist")]
    SessionNotFound,
    /// No key is there to sign with: before the first start is complete, and in
    /// a replica that has not reached its database for long.
    #[error("no signing key is loaded, or what is loaded is too old to be signed with")]
    NoSigningKey,
    /// A row does not hold what it must.
    #[error("a stored {0} is damaged")]
    Damaged(&'static str),
    /// Sealing or opening failed.
    #[error("sealed data: {0}")]
    Seal(#[from] countersign_seal::Error),
    /// A token or key could not be made.
    #[error("tokens: {0}")]
    Tokens(#[from] countersign_tokens::Error),
    /// The database failed.
    #[error("the database failed: {}", countersign_events::reason(.0))]
    Database(#[from] DbErr),
    /// The outbox failed.
    #[error("the outbox failed: {0}")]
    Events(#[source] countersign_events::Error),
    /// The audit trail failed.
    #[error(transparent)]
    Audit(countersign_audit::Error),
    /// A part of the system refused in words that a client may hear.
    #[error(transparent)]
    Refused(#[from] Fault),
}

impl Error {
    /// Whether the transaction lost against another and never was: doing it
    /// again is right.
    pub(crate) fn is_conflict(&self) -> bool {
        match self {
            Self::Database(error) => database::is_conflict(error),
            Self::AccountChanged => true,
            _ => false,
        }
    }
}

// A full disk is the same trouble wherever it is met.
impl From<countersign_events::Error> for Error {
    fn from(error: countersign_events::Error) -> Self {
        match error {
            countersign_events::Error::Database(error) => Self::Database(error),
            other => Self::Events(other),
        }
    }
}

impl From<countersign_vault::Error> for Error {
    fn from(error: countersign_vault::Error) -> Self {
        match error {
            countersign_vault::Error::Database(error) => Self::Database(error),
            countersign_vault::Error::Unit(error) => error.into(),
            other => Self::Vault(other),
        }
    }
}

impl From<Damage> for Error {
    fn from(damage: Damage) -> Self {
        Self::Vault(damage.into())
    }
}

impl From<countersign_audit::Error> for Error {
    fn from(error: countersign_audit::Error) -> Self {
        match error {
            countersign_audit::Error::Database(error) => Self::Database(error),
            countersign_audit::Error::Unit(error) => error.into(),
            other => Self::Audit(other),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let unauthenticated = |reason, message| Self::new(Code::Unauthenticated, reason, message);
        match error {
            Error::Invalid(violations) => Self::invalid(violations),
            Error::EmailTaken => {
                let message = "there is an account with this address";
                Self::new(Code::AlreadyExists, "EMAIL_TAKEN", message)
            }
            Error::BadCredentials => {
                unauthenticated("BAD_CREDENTIALS", "the address or the password is wrong")
            }
            Error::AccountPending => {
                let message = "the account is being made: try again in a moment";
                Self::new(Code::FailedPrecondition, "ACCOUNT_PENDING", message)
                    .retry_after(PENDING_RETRY)
            }
            Error::AccountDisabled => {
                Self::new(Code::FailedPrecondition, "ACCOUNT_DISABLED", "the account is disabled")
            }
            Error::AccountDeleting => {
                let message = "the account is to be deleted: an administrator can enable it again";
                Self::new(Code::FailedPrecondition, "ACCOUNT_DELETING", message)
            }
            Error::AccountNotFound => {
                Self::new(Code::NotFound, "ACCOUNT_NOT_FOUND", "the account does not exist")
            }
            Error::AccountDeleted => {
                let message = "the account is deleted: it can not be changed any more";
                Self::new(Code::FailedPrecondition, "ACCOUNT_DELETED", message)
            }
            Error::LastAdministrator => {
                let message = "nobody else is an administrator who can log in: make one first";
                Self::new(Code::FailedPrecondition, "LAST_ADMINISTRATOR", message)
            }
            Error::EtagMismatch | Error::AccountChanged => {
                let message = "the account was changed in the meantime: read it again";
                Self::new(Code::Aborted, "ETAG_MISMATCH", message)
            }
            Error::Throttled { retry_after } => {
                let message = "too many attempts: try again later";
                Self::new(Code::ResourceExhausted, "TOO_MANY_ATTEMPTS", message)
                    .retry_after(retry_after)
            }
            Error::HashingBusy => {
                let message = "too many logins at a time: try again in a moment";
                Self::new(Code::ResourceExhausted, "HASHING_BUSY", message)
                    .retry_after(HASHING_RETRY)
            }
            Error::RefreshInvalid => {
                unauthenticated("REFRESH_INVALID", "the refresh token is not valid")
            }
            Error::RefreshReused => unauthenticated(
                "REFRESH_REUSED",
                "the refresh token was used before: the session has ended",
            ),
            Error::SessionEnded => unauthenticated("SESSION_ENDED", "the session has ended"),
            Error::SessionNotFound => {
                Self::new(Code::NotFound, "SESSION_NOT_FOUND", "the session does not exist")
            }
            Error::NoSigningKey => {
                Self::new(Code::Unavailable, "NO_SIGNING_KEY", "no signing key is ready")
                    .retry_after(HASHING_RETRY)
            }
            Error::Database(error) => database::fault(&error),
            Error::Events(error) => error.into(),
            Error::Audit(error) => error.into(),
            Error::Vault(error) => error.into(),
            Error::Refused(fault) => fault,
            ours => {
                // None of these carries a secret or a personal datum in its text.
                tracing::error!(error = %ours, "the auth service failed");
                Self::internal()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ours_to_mend_tells_the_client_nothing() {
        for error in [
            Error::OtherPepper,
            Error::Damaged("account"),
            Error::Hashing(argon2::password_hash::Error::Algorithm),
        ] {
            assert_eq!(Fault::from(error), Fault::internal());
        }
    }

    #[test]
    fn what_is_worth_another_try_says_when() {
        for error in [
            Error::AccountPending,
            Error::HashingBusy,
            Error::NoSigningKey,
            Error::Throttled { retry_after: Duration::from_secs(3) },
        ] {
            assert!(Fault::from(error).retry_after.is_some());
        }
    }
}
