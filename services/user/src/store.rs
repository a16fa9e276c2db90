//! The user service's tables. Nothing else touches them.
//!
//! Functions on a person's row take the guard's `Permit` and read the id out of
//! it: without a decision for this very profile the call does not compile.

pub mod entity;
pub mod keeping;
mod migration;
pub mod profiles;
mod sealed;

pub use migration::Migrator;

use countersign_seal::DataKey;
use countersign_types::{Timestamp, UserId};
use countersign_vault::Damage;

use crate::fields::Fields;

/// A profile as it is stored.
#[derive(Clone)]
pub struct Profile {
    pub user: UserId,
    /// Empty where they do not open, for the sake of `damage`.
    pub fields: Fields,
    /// Which of the fields does not open. Only lists have such a profile in them.
    pub damage: Option<Damage>,
    /// What the fields are sealed with; none where they are in the clear.
    pub key: Option<DataKey>,
    /// Grows by one with every change; the etag is made of it.
    pub version: i64,
    pub status: entity::Status,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub last_active_time: Option<Timestamp>,
}
