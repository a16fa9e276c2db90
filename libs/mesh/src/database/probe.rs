//! Whether the database can be written, asked now and then: a process that
//! cannot keep what it is told must not be sent calls.

use std::{
    fmt,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{Presence, fault, is_conflict};
use crate::Readiness;

/// From the end of one look to the next.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long the database may take for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Failures in a row that make a process not ready: one may be a restart.
const FAILURES: u32 = 2;
/// One row for good, so nothing grows; a change, so that a disk that is full or
/// read-only shows, as it would not where a transaction only begins.
const BEAT: &str = "INSERT INTO heartbeats (id, beats) VALUES (1, 1) \
                    ON CONFLICT (id) DO UPDATE SET beats = heartbeats.beats + 1";

/// Looks after the readiness of a part with a database.
pub struct Probe {
    name: &'static str,
    database: DatabaseConnection,
    presence: Presence,
    also: Box<dyn Fn() -> bool + Send + Sync>,
    failures: AtomicU32,
    ready: watch::Sender<bool>,
}

impl Probe {
    /// A probe of `database`, which holds the table of [`migrations`]; `name`
    /// is what logs call it. The part is ready as long as the database is and
    /// `also` says so: what else a call needs, at hand and known at once.
    ///
    /// The database counts as ready until a step finds otherwise: whoever
    /// builds a probe has just migrated it.
    #[must_use]
    pub fn new(
        name: &'static str,
        database: DatabaseConnection,
        also: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        let (ready, _) = watch::channel(also());
        let (presence, failures) = (Presence::of(&database), AtomicU32::new(0));
        Self { name, database, presence, also: Box::new(also), failures, ready }
    }

    /// Follows the probe.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        self.ready.subscribe().into()
    }

    /// Whether the server of the database is there, as this probe finds out.
    #[must_use]
    pub fn presence(&self) -> Presence {
        self.presence.clone()
    }

    /// Looks once: one statement, or none where the server is known to be away. Two failures in a row make the part not
    /// ready, one success makes it ready again. Whether it is.
    pub async fn step(&self) -> bool {
        let beats = !self.presence.is_away() && self.beats().await;
        let failures = if beats {
            self.failures.store(0, Ordering::Relaxed);
            0
        } else {
            self.presence.suspect();
            self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
        };
        let ready = !self.presence.is_away() && failures < FAILURES && (self.also)();
        let changed = self.ready.send_if_modified(|held| std::mem::replace(held, ready) != ready);
        match (changed, ready) {
            (true, true) => tracing::info!(part = self.name, "ready again"),
            (true, false) => tracing::warn!(part = self.name, failures, "not ready"),
            (false, _) => (),
        }
        ready
    }

    /// Steps every five seconds, and at once where the server goes or comes,
    /// until `cancel`.
    pub async fn run(self, cancel: CancellationToken) {
        let steps = async {
            let mut away = self.presence.changes();
            loop {
                self.step().await;
                tokio::select! {
                    () = sleep(INTERVAL) => {}
                    Ok(()) = away.changed() => {}
                }
            }
        };
        let looks = self.presence.clone().run(cancel.clone());
        tokio::join!(looks, cancel.run_until_cancelled(steps));
    }

    async fn beats(&self) -> bool {
        let beat = timeout(PATIENCE, self.database.execute_unprepared(BEAT));
        let done = tokio::select! {
            done = beat => done,
            () = self.presence.lost() => return false,
        };
        match done {
            Ok(Ok(_)) => true,
            // It lost against another replica's: both got as far as the data.
            Ok(Err(error)) if is_conflict(&error) => true,
            Ok(Err(error)) => {
                let reason = fault(&error).reason;
                tracing::warn!(part = self.name, reason, "the database cannot be written");
                false
            }
            Err(_) => {
                tracing::warn!(part = self.name, "the database does not answer");
                false
            }
        }
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Probe({}, {})", self.name, *self.ready.borrow())
    }
}

/// The table of the probe; to be chained into each service's own.
#[must_use]
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(Heartbeats)]
}

struct Heartbeats;

impl MigrationName for Heartbeats {
    fn name(&self) -> &'static str {
        "mesh_000001_heartbeats"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Heartbeats {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table =
            "CREATE TABLE heartbeats (id INTEGER NOT NULL PRIMARY KEY, beats BIGINT NOT NULL)";
        manager.get_connection().execute_unprepared(table).await.map(drop)
    }
}
