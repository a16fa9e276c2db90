//! Real engines for the tests: nats-server and PostgreSQL, as `make tools`
//! installs them. One that is missing fails the test with what to do.
//!
//! Each starts on a free port of this machine, in a folder of its own, and ends
//! with this process. Most tests share one of each, see [`shared`].

mod disk;
mod nats;
mod operator;
mod postgres;
mod server;
pub mod shared;

use std::path::{Path, PathBuf};

pub use nats::{Cluster, Nats, Storage};
pub use operator::Operator;
pub use postgres::{Postgres, Safety};
pub use shared::NewDatabase;

/// A file that `make tools` installs.
///
/// # Panics
/// It is not there.
fn tool(path: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools");
    let tool = tools.join(path);
    let found = tool.canonicalize();
    found.unwrap_or_else(|error| panic!("{}: {error}; run `make tools`", tool.display()))
}
