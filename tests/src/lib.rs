//! The harness of the end-to-end tests: the whole system over a real socket.
//!
//! [`TestApp`] runs it in this process, started by the same functions as the
//! executable, with a clock that a test turns and relays that a test steps: no
//! test sleeps to wait. [`Process`] runs the executable itself, to be killed;
//! [`Campaign`] does that to it again and again under load.
//! What a test asks is in `it/`, one file for each theme.

mod app;
mod campaign;
mod canary;
mod client;
mod clock;
mod collector;
mod dice;
pub mod engines;
mod kin;
mod leash;
mod ledger;
mod people;
mod polls;
mod process;
mod proxy;
mod raw;
mod refusal;
mod scrape;
mod staff;
mod tls;

pub use app::{Surroundings, TestApp, Topology};
pub use campaign::{Campaign, Harm, Layout, Upgrade, Verdict};
pub use canary::{CANARY, Canaries, files_holding, files_holding_bytes};
pub use client::{Authenticated, Bearer, Clients};
pub use clock::{Clockwork, WallClock};
pub use collector::{Collector, Told};
pub use leash::Folder;
pub use ledger::Ledger;
pub use people::{Login, PASSWORD, Person, email_of};
pub use polls::{Cut, drop_after};
pub use process::{Edition, Executable, Process, set_mode};
pub use proxy::{Proxy, Weather};
pub use raw::RawCall;
pub use refusal::{Refusal, refusal};
pub use scrape::{Sample, Scrape};
pub use tls::{Authority, Identity, tls_client_front, tls_front};

/// Runs tests on every topology: each is an `async fn` that takes a
/// [`Topology`], and becomes three tests whose names show theirs.
#[macro_export]
macro_rules! on_every_topology {
    ($($test:ident),+ $(,)?) => {
        $crate::on_topology!(embedded, Embedded, $($test),+);
        $crate::on_topology!(split_on_sqlite, SplitSqlite, $($test),+);
        $crate::on_topology!(split_on_postgres, SplitPostgres, $($test),+);
    };
}

/// Runs tests on one topology.
#[macro_export]
macro_rules! on_topology {
    ($module:ident, $topology:ident, $($test:ident),+) => {
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::Topology::$topology).await;
                }
            )+
        }
    };
}
