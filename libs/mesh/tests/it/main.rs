//! The parts of a process, over real sockets and real files.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod calls;
mod config;
mod database;
mod drain;
mod health;
mod lifetime;
mod limits;
mod mounts;
mod probe;
mod reflection;
mod support;
mod visible;
