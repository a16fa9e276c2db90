//! Data at rest: the master key and what is sealed with it.
//!
//! Owns the file format of the master key and the format of sealed data. It
//! stores nothing itself, and no key ever leaves it except as a derived one.

mod error;
mod file;
mod key;
mod master;
mod sealed;

pub use error::Error;
pub use master::MasterKey;
pub use sealed::PLAIN_MAX;
pub use zeroize::Zeroizing;
