//! Processes of a producing and a consuming service around a real broker.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use countersign_events::{
    Backoff, Bus, Consumer, ConsumerOptions, Handler, JetStreamOptions, Outbox, Relay,
    RelayOptions, migrations,
};
use countersign_types::{Clock, EventId};
use prost::Name;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::stage::{Happened, Plans, Recorder, TRIES};

/// How long anything here may take.
const PATIENCE: Duration = Duration::from_secs(40);

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

/// What runs in one process.
pub struct Process {
    pub bus: Bus,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Process {
    /// A process that is connected, or will be.
    pub async fn new(options: JetStreamOptions) -> Self {
        let bus = Bus::jetstream(options).await.unwrap();
        Self { bus, cancel: CancellationToken::new(), tasks: JoinSet::new() }
    }

    /// Relays the outbox.
    pub fn relay(mut self, outbox: &Outbox) -> Self {
        let relay = Relay::new(outbox.clone(), self.bus.clone(), often());
        self.tasks.spawn(relay.run(self.cancel.clone()));
        self
    }

    /// Consumes with a recorder.
    pub fn consume(self, outbox: &Outbox, plans: &Plans) -> Self {
        self.handle(outbox, Recorder(Arc::clone(plans)))
    }

    pub fn handle(self, outbox: &Outbox, handler: impl Handler) -> Self {
        self.handle_kinds(&[Happened::full_name()], outbox, handler)
    }

    /// Consumes other kinds as the same consumer.
    pub fn handle_kinds(self, kinds: &[String], outbox: &Outbox, handler: impl Handler) -> Self {
        let options = ConsumerOptions {
            max_deliveries: TRIES,
            backoff: Backoff { first: Duration::from_millis(20), max: Duration::from_millis(50) },
            ..ConsumerOptions::default()
        };
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        let consumer = Consumer::new("recorder", &kinds, outbox.clone(), handler, options);
        self.bus.subscribe(consumer);
        self.run()
    }

    /// Feeds the consumers and followers.
    pub fn run(mut self) -> Self {
        self.tasks.spawn(self.bus.clone().run(self.cancel.clone()));
        self
    }

    /// Ends it in good order.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Ends it where it stands.
    pub async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Looks twice a second, and never gives up for long.
pub fn often() -> RelayOptions {
    RelayOptions {
        poll_interval: Duration::from_millis(500),
        sweep_interval: Duration::from_millis(500),
        ..RelayOptions::default()
    }
}

pub async fn sqlite(file: &Path, source: &'static str) -> Outbox {
    let url = format!("sqlite://{}?mode=rwc", file.display());
    let mut options = ConnectOptions::new(url);
    options.max_connections(4).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "OFF")
            .busy_timeout(Duration::from_secs(10))
    });
    prepare(options, source).await
}

pub async fn postgres(url: &str, source: &'static str) -> Outbox {
    let mut options = ConnectOptions::new(url);
    options.max_connections(16).sqlx_logging(false);
    prepare(options, source).await
}

async fn prepare(options: ConnectOptions, source: &'static str) -> Outbox {
    let db = Database::connect(options).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    let position = match db.get_database_backend() {
        DbBackend::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
        _ => "BIGSERIAL PRIMARY KEY",
    };
    db.execute_unprepared(&format!(
        "CREATE TABLE IF NOT EXISTS effects (position {position}, number BIGINT)"
    ))
    .await
    .unwrap();
    Outbox::new(db, Clock::system(), source)
}

/// One change with one event.
pub async fn happen(outbox: &Outbox, aggregate: Uuid, number: i64) -> EventId {
    let unit = outbox.begin().await.unwrap();
    let id = unit.append(aggregate, &Happened { number }).await.unwrap();
    unit.commit().await.unwrap();
    id
}

/// The numbers whose effect is there, in the order in which it came.
pub async fn effects(outbox: &Outbox) -> Vec<i64> {
    numbers(outbox.db(), "SELECT number FROM effects ORDER BY position").await
}

pub async fn count(outbox: &Outbox, sql: &str) -> i64 {
    numbers(outbox.db(), &format!("SELECT count(*) AS number FROM {sql}")).await[0]
}

pub async fn numbers(db: &DatabaseConnection, sql: &str) -> Vec<i64> {
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let rows = db.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get("", "number").unwrap()).collect()
}

/// Asks until the answer is yes.
pub async fn until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "it did not come to this: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until so many effects are there, and returns them.
pub async fn until_effects(outbox: &Outbox, wanted: usize) -> Vec<i64> {
    until(&format!("{wanted} effects"), async || effects(outbox).await.len() >= wanted).await;
    effects(outbox).await
}
