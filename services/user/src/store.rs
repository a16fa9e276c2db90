//! The user service's tables. Nothing else touches them.
//!
//! Functions on a person's row take the guard's `Permit` and read the id out of
//! it: without a decision for this very profile the call does not compile.

pub mod entity;
mod migration;
pub mod profiles;

pub use migration::Migrator;

use countersign_types::{Timestamp, UserId};

use crate::fields::Fields;

/// A profile as it is stored.
#[derive(Clone)]
pub struct Profile {
    pub user: UserId,
    pub fields: Fields,
    /// Grows by one with every change; the etag is made of it.
    pub version: i64,
    pub status: entity::Status,
    pub create_time: Timestamp,
    pub update_time: Timestamp,
    pub last_active_time: Option<Timestamp>,
}
