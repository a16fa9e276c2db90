//! What can go wrong with keys and sealed data. No variant carries either.

use std::{io, path::PathBuf};

use countersign_types::Fault;

use crate::file::KEYS_MAX;

/// Why a key could not be had, or data not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file at the path.
    #[error(
        "master key file {path} does not exist: put the file that belongs to this data there",
        path = .0.display()
    )]
    Missing(PathBuf),
    /// There is a file at the path already; a key is never overwritten.
    #[error("file {path} exists already: a master key is never overwritten", path = .0.display())]
    Exists(PathBuf),
    /// The file's mode lets the group or others in.
    #[error("master key file {path} is open to others: run chmod 0600 {path}", path = .0.display())]
    Exposed(PathBuf),
    /// The file holds something else.
    #[error(
        "file {path} does not hold a master key: it must be one line, csmk1_ and 43 characters, \
         or up to {KEYS_MAX} of them",
        path = .0.display()
    )]
    NotAKey(PathBuf),
    /// The system refused to read or write.
    #[error("cannot {action} master key file {path}: {source}", path = path.display())]
    File {
        /// What was tried: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The data was sealed with another master key.
    #[error(
        "sealed with master key {sealed_with}, but this is master key {this}: \
         start with the master key file that belongs to this data"
    )]
    OtherKey {
        /// [`crate::MasterKey::id`] of the key that sealed.
        sealed_with: String,
        /// [`crate::MasterKey::id`] of the key that was asked to open.
        this: String,
    },
    /// The data is too short, or of a version that this program does not know.
    #[error("not sealed data of a version that this program knows")]
    Malformed,
    /// The data was changed after it was sealed, or was sealed for another context.
    #[error("sealed data does not open: it was changed, or it was sealed for another place")]
    Refused,
    /// More than [`crate::PLAIN_MAX`] bytes to seal.
    #[error("too long to be sealed in one piece")]
    TooLong,
    /// There are [`crate::KEYS_MAX`] keys in the file.
    #[error(
        "master key file {path} holds {KEYS_MAX} keys, and no more fit: take out those that \
         nothing is sealed with any more",
        path = .0.display()
    )]
    TooMany(PathBuf),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// A client can do nothing about any of these and learns nothing of them.
impl From<Error> for Fault {
    fn from(_: Error) -> Self {
        Self::internal()
    }
}
