//! The guard through its public interface.
#![expect(clippy::unwrap_used, reason = "what stands around a test may panic like the test")]

mod alarm;
mod attributes;
mod decisions;
mod desk;
mod differential;
mod entering;
mod folder;
mod fuzz;
mod interceptor;
mod mounting;
mod peers;
mod policies;
mod reloading;
mod remembered;
mod revocations;
mod shadowing;
mod staleness;
mod statuses;
mod stepping_up;
mod tokens;
mod world;
