//! Proves properties of Cedar policies, for every request that the schema
//! allows, or shows a request that breaks one.
//!
//! `property` reads what is to hold, `prover` asks Cedar's symbolic compiler and
//! its solver. Decisions at run time are the guard's; nothing here is linked
//! into a service.

mod error;
mod property;
mod prover;

pub use error::Error;
pub use property::{Claim, Property};
pub use prover::{Finding, Prover};
