//! The guard through its public interface.
#![expect(clippy::unwrap_used, reason = "what stands around a test may panic like the test")]

mod alarm;
mod attributes;
mod decisions;
mod differential;
mod entering;
mod fuzz;
mod interceptor;
mod mounting;
mod policies;
mod revocations;
mod statuses;
mod tokens;
mod world;
