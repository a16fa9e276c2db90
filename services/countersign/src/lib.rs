//! The one executable: composition, first run and commands. It has no logic of
//! its own: what a service does is in that service.
//!
//! [`Embedded`] puts everything together; the executable and the tests start
//! through it.

mod banner;
mod cli;
pub mod commands;
mod config;
mod databases;
mod embedded;
mod error;
mod folder;
mod master;

pub use cli::{
    AccountCommand, AuditCommand, Cli, Command, DeadLetter, EventsCommand, Flags, KeysCommand,
    Since,
};
pub use config::{Config, DatabasesConfig, TokenConfig};
pub use databases::Databases;
pub use embedded::Embedded;
pub use error::Error;
pub use folder::DataFolder;
