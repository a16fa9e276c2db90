//! The executable from outside: its configuration, its commands and its refusals.

#![expect(clippy::unwrap_used, reason = "what stands around a test may panic like the test")]

mod apart;
mod configuration;
mod executable;
mod health;
mod place;
mod policies;
mod roles;
