//! How a process takes part: server, client channels, health, configuration,
//! database, logs and shutdown.
//!
//! A service hands over a [`Part`]: routes, tasks and whether it is ready. The
//! [`Server`](server::Server) runs any number of parts behind one ordered stack.
//! Nothing here knows what a service does, and nothing here decides who may call.

pub mod channel;
pub mod config;
pub mod database;
mod error;
pub mod health;
mod incoming;
mod logs;
mod part;
mod reflection;
pub mod server;
pub mod shutdown;
pub mod telemetry;
mod tls;

pub use error::Error;
pub use incoming::Incoming;
pub use part::{Part, Readiness, Task};
