//! A producing and a consuming service on files of their own, which survive
//! a restart, with a handler that does as it is told.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    path::Path,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use countersign_events::{
    Backoff, BoxFuture, Bus, Consumer, ConsumerOptions, Event, Handler, Outbox, Relay,
    RelayOptions, Unit, migrations,
};
use countersign_types::{Clock, ClockHand, Code, EventId, Fault, Timestamp};
use prost::{Message, Name};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement,
};
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tempfile::TempDir;
use uuid::Uuid;

/// Tries before an event is a dead letter.
pub const TRIES: u32 = 3;

/// No effect at all.
pub const NONE: [i64; 0] = [];

/// The event of these tests.
#[derive(Clone, PartialEq, Message)]
pub struct Happened {
    #[prost(int64, tag = "1")]
    pub number: i64,
}

impl Name for Happened {
    const NAME: &'static str = "Happened";
    const PACKAGE: &'static str = "test.v1";
}

/// What follows from it.
#[derive(Clone, PartialEq, Message)]
pub struct Followed {
    #[prost(int64, tag = "1")]
    pub number: i64,
}

impl Name for Followed {
    const NAME: &'static str = "Followed";
    const PACKAGE: &'static str = "test.v1";
}

/// What the handler does at an event, after it made its effect.
#[derive(Clone, Copy)]
pub enum Plan {
    Refuse,
    Panic,
    Away(Option<Duration>),
}

/// By the number of the event; where there is no plan, it succeeds.
pub type Plans = Arc<Mutex<BTreeMap<i64, Plan>>>;

/// Two files, and what outlives a process.
pub struct Stage {
    folder: TempDir,
    pub clock: Clock,
    pub hand: ClockHand,
    pub plans: Plans,
}

/// One life of both services.
pub struct Life {
    pub producer: Outbox,
    pub consumer: Consumer,
    pub bus: Bus,
    pub relay: Relay,
    consuming: Outbox,
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migrations()
    }
}

pub struct Recorder(pub Plans);

/// Makes its effect, and nothing else.
pub struct Effect;

impl Stage {
    pub fn new() -> Self {
        let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_000_000));
        Self { folder: tempfile::tempdir().unwrap(), clock, hand, plans: Plans::default() }
    }

    /// Starts both services on their files.
    pub async fn start(&self) -> Life {
        let producing = connect(&self.folder.path().join("producer.db")).await;
        let consuming = connect(&self.folder.path().join("consumer.db")).await;
        let producer = Outbox::new(producing, self.clock.clone(), "producer");
        let consuming = Outbox::new(consuming, self.clock.clone(), "consumer");
        let bus = Bus::memory();
        let consumer = self.consumer("recorder", &consuming);
        bus.subscribe(consumer.clone());
        let relay = Relay::new(producer.clone(), bus.clone(), quick());
        Life { producer, consumer, bus, relay, consuming }
    }

    pub fn consumer(&self, name: &'static str, outbox: &Outbox) -> Consumer {
        let options = ConsumerOptions {
            max_deliveries: TRIES,
            backoff: Backoff::NONE,
            ..ConsumerOptions::default()
        };
        let recorder = Recorder(Arc::clone(&self.plans));
        Consumer::new(name, &[&Happened::full_name()], outbox.clone(), recorder, options)
    }

    pub fn plan(&self, number: i64, plan: Option<Plan>) {
        let mut plans = self.plans.lock().unwrap();
        match plan {
            Some(plan) => plans.insert(number, plan),
            None => plans.remove(&number),
        };
    }
}

impl Life {
    /// One change with one event.
    pub async fn happen(&self, aggregate: Uuid, number: i64) -> EventId {
        let unit = self.producer.begin().await.unwrap();
        let id = unit.append(aggregate, &Happened { number }).await.unwrap();
        unit.commit().await.unwrap();
        id
    }

    /// Steps until nothing is due.
    pub async fn settle(&self) {
        while self.relay.step().await.unwrap() > 0 {}
    }

    /// The numbers whose effect is there, in the order in which it came.
    pub async fn effects(&self) -> Vec<i64> {
        numbers(self.consuming.db(), "SELECT number FROM effects ORDER BY rowid").await
    }

    /// How many events the consumer appended.
    pub async fn follow_ups(&self) -> i64 {
        let sql = "SELECT count(*) AS number FROM outbox WHERE kind = 'test.v1.Followed'";
        numbers(self.consuming.db(), sql).await.first().copied().unwrap()
    }

    pub fn producer_db(&self) -> &DatabaseConnection {
        self.producer.db()
    }

    pub fn consumer_db(&self) -> &DatabaseConnection {
        self.consuming.db()
    }

    pub fn consuming(&self) -> &Outbox {
        &self.consuming
    }

    /// Ends both services; what is in flight is rolled back.
    pub async fn end(self) {
        self.producer.db().clone().close().await.unwrap();
        self.consuming.db().clone().close().await.unwrap();
    }
}

impl Handler for Recorder {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Happened { number } = event.decode()?;
            let insert = format!("INSERT INTO effects (number) VALUES ({number})");
            unit.execute_unprepared(&insert).await.unwrap();
            unit.append(event.aggregate, &Followed { number }).await?;
            let plan = self.0.lock().unwrap().get(&number).copied();
            match plan {
                None => Ok(()),
                Some(Plan::Refuse) => Err(Fault::new(Code::Internal, "POISON", "no good")),
                Some(Plan::Panic) => panic!("as planned"),
                Some(Plan::Away(retry_after)) => {
                    Err(Fault { retry_after, ..Fault::new(Code::Unavailable, "AWAY", "not now") })
                }
            }
        })
    }
}

impl Handler for Effect {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Happened { number } = event.decode()?;
            let insert = format!("INSERT INTO effects (number) VALUES ({number})");
            unit.execute_unprepared(&insert).await.unwrap();
            Ok(())
        })
    }
}

/// No waits, so that stepping until 0 settles everything.
pub fn quick() -> RelayOptions {
    RelayOptions { batch: 4, backoff: Backoff::NONE, ..RelayOptions::default() }
}

pub async fn connect(path: &Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rwc", path.display()));
    options.max_connections(4).sqlx_logging(false).map_sqlx_sqlite_opts(|options| {
        options
            .pragma("journal_mode", "WAL")
            .pragma("synchronous", "OFF")
            .busy_timeout(Duration::from_secs(10))
    });
    let db = Database::connect(options).await.unwrap();
    Migrator::up(&db, None).await.unwrap();
    db.execute_unprepared("CREATE TABLE IF NOT EXISTS effects (number INTEGER)").await.unwrap();
    db
}

pub async fn numbers(db: &DatabaseConnection, sql: &str) -> Vec<i64> {
    let rows = db.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get("", "number").unwrap()).collect()
}

/// Polls `future` so many times and drops it: at once, with a statement in
/// flight, or when its answer has come that nobody will read.
pub async fn cut<F: Future>(future: F, polls: usize, in_flight: bool) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 && in_flight => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
