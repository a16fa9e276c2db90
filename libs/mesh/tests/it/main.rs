//! The parts of a process, over real sockets and real files.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod calls;
mod chain;
mod channel;
mod config;
mod database;
mod drain;
mod ejection;
mod health;
mod keepalive;
mod lifetime;
mod limits;
mod lines;
mod mounts;
mod probe;
mod reflection;
mod replicas;
mod retries;
mod rolling;
mod streams;
mod support;
mod tls;
mod visible;
