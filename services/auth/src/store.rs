//! The auth service's tables. Nothing else touches them.
//!
//! Functions on a person's sessions take the guard's `Permit` and read the id
//! out of it, or the refresh token whose MAC was checked: without one of them
//! the call does not compile.

pub(crate) mod account;
pub(crate) mod administration;
pub(crate) mod credential;
pub(crate) mod erasing;
pub(crate) mod keeping;
mod migration;
pub(crate) mod network;
pub(crate) mod refresh;
pub(crate) mod revocation;
pub(crate) mod session;
pub(crate) mod signing_key;

pub use migration::Migrator;
