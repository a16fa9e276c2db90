//! Why a feed cannot be made.

use std::path::PathBuf;

/// Why a feed cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No auth service is named.
    #[error("no auth service is named to fetch the keys from")]
    NoSource,
    /// An auth service cannot be reached under this address.
    #[error("{0:?} is no address of an auth service: write http://HOST:PORT or https://HOST:PORT")]
    Source(String),
    /// The authorities for the certificates of auth services cannot be used.
    #[error("cannot use {path}: {reason}; it must be a PEM file with certificates", path = path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
