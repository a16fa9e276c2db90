//! The one executable: composition, first run and commands. It has no logic of
//! its own: what a service does is in that service.
//!
//! [`Embedded`] puts everything together, [`AuthRole`] and [`UserRole`] what
//! runs as a process of its own; the executable and the tests start through
//! them. What they have in common is in `guarding`, `own_policies`, `bus`, `calls` and `process`.

mod auth_role;
mod banner;
mod bus;
mod calls;
mod cli;
pub mod commands;
mod config;
mod databases;
mod embedded;
mod error;
mod folder;
mod guarding;
mod master;
mod own_policies;
mod process;
mod user_role;

pub use auth_role::AuthRole;
pub use cli::{
    AccountCommand, Assignment, AuditCommand, Cli, Command, DeadLetter, ErasuresCommand,
    EventsCommand, Explain, Flags, Format, KeysCommand, PolicyCommand, PolicySource, Probe, Role,
    Since,
};
pub use config::{BusConfig, Config, DatabasesConfig, KeysConfig, PoliciesConfig, TokenConfig};
pub use databases::Databases;
pub use embedded::Embedded;
pub use error::Error;
pub use folder::DataFolder;
pub use own_policies::PolicyTasks;
pub use user_role::UserRole;
