//! The audit trail of a service: append-only, hash-chained and signed.
//!
//! [`record`] writes an entry in the transaction of what it tells of, so
//! neither is there without the other. The [`Chain`] numbers and hashes entries
//! afterwards, so that business transactions do not wait for each other, signs
//! its end now and then, and deletes what is too old. [`verify`] finds the first
//! entry that is not what it was. What belongs to no transaction, such as calls
//! that the guard denied, comes here through a [`Trail`] and its [`Asides`].
//!
//! Whoever can rewrite the whole database can make a chain anew, but cannot
//! sign it: the [`AuditKey`] is sealed with the master key, which is not in the
//! database, and signed checkpoints are published as events. No entry holds
//! personal data except the address that a request came from
//! (`docs/decisions/0038-a-trail-that-is-signed.md`).

mod action;
mod asides;
mod chain;
mod checkpoint;
mod config;
mod convert;
mod entity;
mod entry;
mod error;
mod export;
mod filter;
mod key;
mod list;
mod mark;
mod migration;
mod retention;
mod scope;
mod trail;
mod verify;
mod walk;

pub use action::{Action, Outcome};
pub use asides::Asides;
pub use chain::Chain;
pub use config::{Config, Reads};
pub use entry::{Entry, Value, record, record_all};
pub use error::Error;
pub use export::export;
pub use key::{AuditKey, reseal_keys, stored_keys, trusted_keys};
pub use migration::migrations;
pub use trail::{Asked, Listed, Trail};
pub use verify::{Break, Evidence, Flaw, Signed, Verdict, verify};
