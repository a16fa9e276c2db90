//! The auth service behind the guard, called in process, on a real database,
//! with a clock that is turned by hand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod accounts;
mod attributes;
mod clocks;
mod deletion;
mod keys;
mod lifetimes;
mod refresh;
mod sessions;
mod signals;
mod stage;
mod starts;
