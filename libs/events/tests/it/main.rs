//! Events through the public API, on real engines: SQLite files, PostgreSQL,
//! nats-server. An engine that is missing fails the test; `make tools` brings it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and a measurement prints"
)]

mod broker;
mod crash;
mod dead;
mod deliver;
mod follow;
mod measure;
mod measured;
mod migrate;
mod nats;
mod order;
mod postgres;
mod process;
mod publish;
mod replay;
mod replicas;
mod setup;
mod stage;
mod town;
mod trace;
