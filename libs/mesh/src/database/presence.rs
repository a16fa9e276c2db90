//! Whether the server of a database is there.
//!
//! A pool cannot tell: who waits for a connection in vain may wait for one that
//! others have, or for a server that is gone. So a look is a connection of its
//! own, beside the pool. It is taken where something takes long and at most once
//! a second; where all is well, nobody looks.

use std::{fmt, future::pending, sync::Arc, time::Duration};

use sea_orm::{
    DatabaseBackend, DatabaseConnection,
    sqlx::{ConnectOptions, Connection, PgPool},
};
use tokio::{
    sync::{Notify, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{fault::is_away, retry::part_of};

/// What takes longer than this is worth a look.
const SLOW: Duration = Duration::from_millis(500);
/// How long a server may take to let somebody in and answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The least time between two looks at a server that is there.
const SPACING: Duration = Duration::from_secs(1);
/// Waits between looks at one that is gone; they double.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Knows whether the server of a database is there. Clones are the same. A
/// database without a server, as SQLite is, is always there.
#[derive(Clone)]
pub struct Presence(Arc<Known>);

struct Known {
    pool: Option<PgPool>,
    away: watch::Sender<bool>,
    suspicion: Notify,
}

impl Presence {
    /// The presence of the server of `database`, which counts as there until a
    /// look finds otherwise. `run` looks.
    #[must_use]
    pub fn of(database: &DatabaseConnection) -> Self {
        let is_postgres = database.get_database_backend() == DatabaseBackend::Postgres;
        let pool = is_postgres.then(|| database.get_postgres_connection_pool().clone());
        Self(Arc::new(Known { pool, away: watch::Sender::new(false), suspicion: Notify::new() }))
    }

    /// Whether the last look found nobody.
    #[must_use]
    pub fn is_away(&self) -> bool {
        *self.0.away.borrow()
    }

    /// Follows it: true is away.
    pub(super) fn changes(&self) -> watch::Receiver<bool> {
        self.0.away.subscribe()
    }

    /// Ends where the server is known to be away; for ever otherwise. Who waits
    /// here for more than half a second makes somebody look.
    pub(crate) async fn lost(&self) {
        if self.0.pool.is_none() {
            return pending().await;
        }
        let mut away = self.changes();
        if timeout(SLOW, away.wait_for(|away| *away)).await.is_err() {
            self.suspect();
            // The sender is held above: it ends only where it is true.
            let _ = away.wait_for(|away| *away).await;
        }
    }

    /// Something went wrong that a server which is away would explain.
    pub(super) fn suspect(&self) {
        self.0.suspicion.notify_one();
    }

    /// Looks where there is suspicion, until `cancel`.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let Some(pool) = &self.0.pool else { return cancel.cancelled().await };
        let looking = async {
            loop {
                self.0.suspicion.notified().await;
                self.look(pool).await;
                sleep(SPACING).await;
            }
        };
        cancel.run_until_cancelled(looking).await;
    }

    /// Looks until the server is there.
    async fn look(&self, pool: &PgPool) {
        let mut wait = FIRST_WAIT;
        while !answers(pool).await {
            if !self.0.away.send_replace(true) {
                tracing::warn!("the database is away: calls that need it are refused");
                forget_idle(pool);
            }
            sleep(wait / 2 + part_of(wait / 2)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        if self.0.away.send_replace(false) {
            tracing::info!("the database is back");
        }
    }
}

async fn answers(pool: &PgPool) -> bool {
    let options = pool.connect_options();
    let asked = async {
        let mut connection = options.connect().await?;
        connection.ping().await?;
        connection.close().await
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(())) => true,
        // Whoever refuses is there.
        Ok(Err(error)) => !is_away(&error),
        Err(_) => false,
    }
}

/// Drops the connections that nobody uses: the first calls after the return
/// would try them, and wait for a peer that may be gone for good.
fn forget_idle(pool: &PgPool) {
    while let Some(connection) = pool.try_acquire() {
        drop(connection.detach());
    }
}

impl fmt::Debug for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Presence({})", if self.is_away() { "away" } else { "there" })
    }
}
