//! LISTEN and NOTIFY between the relays of one PostgreSQL database: what one
//! process commits wakes the others.
//!
//! It makes things quicker and never right: everything is found by looking,
//! too, and engines that have no LISTEN do without. A notification is sent
//! after the commit, on its own: within a transaction it would make all
//! commits of the database wait for each other.

use std::{
    sync::atomic::{AtomicBool, AtomicU8, Ordering},
    time::Duration,
};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, Statement,
    sqlx::postgres::{PgListener, PgPoolOptions},
};
use uuid::Uuid;

use crate::{Backoff, Outbox};

const CHANNEL: &str = "countersign_outbox";

/// The least time between two notifications of one process.
const TOGETHER: Duration = Duration::from_millis(50);

/// How much later than the relay of the committing process the others look:
/// mostly they find everything taken, and do not get in its way.
const STEP_BACK: Backoff =
    Backoff { first: Duration::from_millis(30), max: Duration::from_millis(30) };

/// Waits between tries to listen, where it does not work.
const RETRY: Backoff = Backoff { first: Duration::from_secs(1), max: Duration::from_mins(5) };

const IDLE: u8 = 0;
const TELLING: u8 = 1;
const AGAIN: u8 = 2;

/// Tells other processes that there is something to publish.
#[derive(Default)]
pub(crate) struct Notifier {
    on: AtomicBool,
    state: AtomicU8,
    me: std::sync::OnceLock<Uuid>,
}

impl Notifier {
    /// From now on others are told.
    pub(crate) fn turn_on(&self) {
        self.on.store(true, Ordering::Relaxed);
    }

    /// Who tells: a process does not listen to itself.
    fn me(&self) -> Uuid {
        *self.me.get_or_init(Uuid::new_v4)
    }

    /// Tells, now or together with the next ones. Never waits.
    pub(crate) fn tell(&self, outbox: &Outbox) {
        let on = self.on.load(Ordering::Relaxed);
        if !on || outbox.db().get_database_backend() != DbBackend::Postgres {
            return;
        }
        if self.state.fetch_max(TELLING, Ordering::AcqRel) != IDLE {
            self.state.store(AGAIN, Ordering::Release);
            return;
        }
        let outbox = outbox.clone();
        tokio::spawn(async move {
            let notifier = outbox.notifier();
            loop {
                notifier.state.store(TELLING, Ordering::Release);
                if !send(outbox.db(), &notifier.me().to_string()).await {
                    // Not this engine, or not now: who listens turns it on again.
                    notifier.on.store(false, Ordering::Relaxed);
                }
                tokio::time::sleep(TOGETHER).await;
                let done = notifier.state.compare_exchange(
                    TELLING,
                    IDLE,
                    Ordering::AcqRel,
                    Ordering::Acquire,
                );
                if done.is_ok() {
                    return;
                }
            }
        });
    }
}

/// Tells every relay of the database.
pub(crate) async fn notify(db: &DatabaseConnection) {
    if db.get_database_backend() == DbBackend::Postgres {
        send(db, "").await;
    }
}

/// Wakes the outbox's relay when another process tells. Never ends.
pub(crate) async fn run(outbox: &Outbox) {
    let mut failures: u32 = 0;
    loop {
        match listen(outbox).await {
            Ok(()) => failures = 0,
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::debug!(error = %error, relay = ?outbox, "no notifications: looking is enough");
            }
        }
        tokio::time::sleep(RETRY.delay(failures.max(1))).await;
    }
}

/// Listens until the connection is lost.
async fn listen(outbox: &Outbox) -> Result<(), sea_orm::sqlx::Error> {
    // A connection of its own: the service's pool may be small.
    let options = outbox.db().get_postgres_connection_pool().connect_options();
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with((*options).clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen(CHANNEL).await?;
    outbox.notifier().turn_on();
    // What was told before does not come.
    outbox.wake();
    let me = outbox.notifier().me().to_string();
    while let Some(told) = listener.try_recv().await? {
        if told.payload() == me {
            continue;
        }
        tokio::time::sleep(STEP_BACK.delay(1)).await;
        while listener.next_buffered().is_some() {}
        outbox.wake();
    }
    Ok(())
}

async fn send(db: &DatabaseConnection, payload: &str) -> bool {
    let notify = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT pg_notify($1, $2)",
        [CHANNEL.into(), payload.into()],
    );
    let told = db.execute_raw(notify).await;
    if let Err(error) = &told {
        tracing::debug!(error = %error, "other relays were not told: they look all the same");
    }
    told.is_ok()
}
