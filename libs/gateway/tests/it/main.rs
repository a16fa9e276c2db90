//! The gateway from outside: what a request becomes, and what becomes of its answer.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what stands around a test may panic like the test"
)]

mod answers;
mod bad_input;
mod connect;
mod contracts;
mod fuzz;
mod routes;
mod web;
mod world;
