//! Events through the public API, on real SQLite files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod crash;
mod dead;
mod publish;
mod replay;
mod stage;
