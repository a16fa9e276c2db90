//! Data at rest: the master keys, the data key of each person, and what is
//! sealed with them.
//!
//! Owns the file format of master keys and the format of sealed data. It
//! stores nothing itself, and no key ever leaves it except as a derived one.

mod blind;
mod data_key;
mod error;
mod file;
mod key;
mod master;
mod masters;
mod sealed;

pub use blind::{BLIND_LEN, BlindIndex};
pub use data_key::{DataKey, Place};
pub use error::Error;
pub use file::KEYS_MAX;
pub use master::MasterKey;
pub use masters::MasterKeys;
pub use sealed::PLAIN_MAX;
pub use zeroize::Zeroizing;
