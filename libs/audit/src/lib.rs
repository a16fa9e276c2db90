//! The audit trail: append-only and hash-chained.
//!
//! [`record`] writes an entry in the transaction of what it tells of, so
//! neither is there without the other. The [`Chain`] numbers and hashes entries
//! afterwards, so that business transactions do not wait for each other.
//! [`verify`] finds the first entry that is not what it was. Calls that the guard
//! denied belong to no transaction: [`Denials`] brings them here.
//!
//! The chain shows a change to whoever has kept a hash from outside; against
//! somebody who can rewrite the whole table it is only as good as that. No
//! entry holds personal data except the address that a request came from.

mod action;
mod chain;
mod denials;
mod entity;
mod entry;
mod error;
mod migration;
mod verify;

pub use action::{Action, Outcome};
pub use chain::Chain;
pub use denials::Denials;
pub use entry::{Entry, Value, record};
pub use error::Error;
pub use migration::migrations;
pub use verify::{Break, Flaw, Verdict, verify};
