//! Why a feed cannot be made.

/// Why a feed cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No auth service is named.
    #[error("no auth service is named to fetch the keys from")]
    NoSource,
    /// An auth service cannot be reached under this address.
    #[error("{0:?} is no address of an auth service: write http://HOST:PORT")]
    Source(String),
}
