//! One run of the system, from its start to its end or crash. It has a runtime
//! of its own, so that all of it can die at once.

mod embedded;
mod split;

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use countersign::{Config, DataFolder};
use countersign_types::Clock;
use sea_orm::DatabaseConnection;
use tokio::runtime::{Builder, Runtime};

use super::topology::{Place, Topology};
use embedded::Steps;

/// How long a crash may take; nothing waits that long.
const END: Duration = Duration::from_secs(10);
/// How long events may be on their way.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Running {
    system: System,
    runtime: Runtime,
}

/// What a started system is made of, on its own runtime.
struct System {
    /// Where the replicas of auth listen, and those of user.
    auth: Vec<SocketAddr>,
    user: Vec<SocketAddr>,
    /// The database of auth, as a replica has it.
    db: DatabaseConnection,
    /// What moves events by hand; none where they move by themselves.
    steps: Option<Arc<Steps>>,
    /// Held until the end, where it does not belong to a server.
    _folder: Option<DataFolder>,
}

impl Running {
    /// Every second replica goes by the second clock.
    pub(super) async fn start(place: &Place, mut config: Config, clocks: [Clock; 2]) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let started = if place.topology == Topology::Embedded {
            let [clock, _] = clocks;
            runtime.spawn(async move { embedded::start(&config, clock).await })
        } else {
            config.keys.refresh_interval = Duration::from_secs(1);
            let folders = [place.folder_of("auth"), place.folder_of("user")];
            let replicas = place.topology.replicas();
            runtime.spawn(async move { split::start(config, folders, replicas, clocks).await })
        };
        let system = started.await.expect("the system starts");
        Self { system, runtime }
    }

    /// Where the replicas of auth listen, and those of user.
    pub(super) fn addresses(&self) -> (&[SocketAddr], &[SocketAddr]) {
        (&self.system.auth, &self.system.user)
    }

    pub(super) const fn auth_database(&self) -> &DatabaseConnection {
        &self.system.db
    }

    /// What moves events by hand.
    pub(super) fn steps(&self) -> &Steps {
        self.system.steps.as_ref().expect("a test that steps runs on the embedded topology")
    }

    /// Brings every event to everybody, or waits until it has come.
    pub(super) async fn settle(&self, place: &Place) {
        if let Some(steps) = self.system.steps.clone() {
            // On the runtime of the system: what a step has used goes back to its
            // pool there, whatever becomes of the test's.
            let settled = self.runtime.spawn(async move { steps.settle().await });
            return settled.await.expect("the system settles");
        }
        let ledger = place.ledger().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let missing = ledger.on_the_way().await;
            if missing.is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "the events never come to rest: {missing:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ledger.close().await;
    }

    /// Ends everything where it stands.
    pub(super) async fn crash(self) {
        let Self { runtime, system } = self;
        let end = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(END));
        end.await.expect("the runtime ends");
        drop(system);
    }

    /// Brings the last events on their way, ends, and asserts that none is left
    /// over. Where a test has failed there is nothing to assert.
    pub(super) fn end(self, mut place: Place, dead_letters_allowed: bool, failed: bool) {
        let last = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let by_hand = self.system.steps.is_some();
        if !by_hand && !dead_letters_allowed && !failed {
            last.block_on(self.settle(&place));
        }
        let Self { runtime, system } = self;
        runtime.shutdown_timeout(END);
        let left = last.block_on(async {
            if let (Some(steps), false) = (&system.steps, dead_letters_allowed) {
                steps.settle().await;
            }
            drop(system);
            let ledger = place.ledger().await;
            let left = (ledger.unpublished().await, ledger.dead_letters().await);
            ledger.close().await;
            place.clear().await;
            left
        });
        if !dead_letters_allowed && !failed {
            let (waiting, dead) = left;
            assert_eq!(waiting, 0, "events are left over");
            assert!(dead.is_empty(), "dead letters are left over: {dead:?}");
        }
    }
}
