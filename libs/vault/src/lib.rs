//! The keys of a service in its database: which master key it was set up with,
//! the secrets that must outlive a master key, the data key of each person, and
//! how all of them are exchanged while servers run.
//!
//! Owns the tables `vault` and `data_keys`. It must not know what is sealed
//! with a data key: that is the service's.

mod entity;
mod error;
mod marks;
mod master;
mod migration;
mod personal;
mod rotate;
mod vault;

pub use entity::data_key;
pub use error::{Damage, Error};
pub use marks::{find, find_or_set, has_table};
pub use migration::{begins_sealed, migrations};
pub use personal::{purge, seal_data};
pub use rotate::{Progress, Tell, rotate_data, rotate_master};
pub use vault::Vault;
