//! What this machine reaches from the commit to the effect. Printed, not
//! asserted, and only when asked:
//! `cargo test -p countersign-events --release -- --ignored --nocapture --test-threads 1 measure`.

use std::time::{Duration, Instant};

use countersign_events::{
    BoxFuture, Event, Handler, JetStreamOptions, Outbox, Relay, RelayOptions, Unit, admin,
};
use countersign_types::{Fault, Timestamp};
use prost::Name;
use sea_orm::ConnectionTrait;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    nats::Nats,
    postgres::Postgres,
    process::{Process, count, happen, numbers, often, postgres, sqlite, until},
    stage::{Effect, Followed, Happened, Plans},
};

const EVENTS: i64 = 10_000;

const SINGLE: i64 = 500;

/// How long an idle process is watched.
const IDLE: Duration = Duration::from_secs(30);

/// Changes with 100 events each, of as many aggregates.
async fn much_happens(producer: &Outbox, from: i64) {
    for chunk in 0..EVENTS / 100 {
        let unit = producer.begin().await.unwrap();
        for number in 0..100 {
            let number = from + chunk * 100 + number;
            unit.append(Uuid::now_v7(), &Happened { number }).await.unwrap();
        }
        unit.commit().await.unwrap();
    }
}

/// How many effects there are, where none was undone.
async fn arrived(outbox: &Outbox) -> i64 {
    let last = "SELECT COALESCE(max(position), 0) AS number FROM effects";
    numbers(outbox.db(), last).await[0]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_the_road_from_commit_to_effect() {
    let engine = Postgres::new(true);
    let (url, consuming) = (engine.database("producer"), engine.database("consumer"));
    let producer = postgres(&url, "producer").await;
    let consumer = postgres(&consuming, "consumer").await;
    println!("PostgreSQL and JetStream");
    measure_the_road(&producer, &consumer).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_the_road_between_files() {
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "producer").await;
    let consumer = sqlite(&folder.path().join("c.db"), "consumer").await;
    for outbox in [&producer, &consumer] {
        // As in production; each connection of the pool.
        let durable = (0..4).map(|_| outbox.db().execute_unprepared("PRAGMA synchronous = FULL"));
        futures::future::try_join_all(durable).await.unwrap();
    }
    println!("SQLite and JetStream");
    measure_the_road(&producer, &consumer).await;
}

async fn measure_the_road(producer: &Outbox, consumer: &Outbox) {
    let nats = Nats::new();
    let options = JetStreamOptions { parallel: 8, ..nats.options() };
    let process = Process::new(options).await;
    let options = RelayOptions { batch: 512, ..often() };
    let relay = Relay::new(producer.clone(), process.bus.clone(), options);
    let cancel = CancellationToken::new();

    much_happens(producer, 0).await;
    let began = Instant::now();
    let running = tokio::spawn(relay.run(cancel.clone()));
    let unpublished = "outbox WHERE published_time IS NULL";
    until("published", async || count(producer, unpublished).await == 0).await;
    let published = began.elapsed();
    let process = process.handle(consumer, Effect);
    let began = Instant::now();
    until("consumed", async || arrived(consumer).await == EVENTS).await;
    let consumed = began.elapsed();
    let rate = |time: Duration| EVENTS as f64 / time.as_secs_f64();
    println!("outbox → stream   {:8.0} events/s", rate(published));
    println!("stream → effect   {:8.0} events/s", rate(consumed));

    let began = Instant::now();
    much_happens(producer, EVENTS).await;
    until("all of it", async || arrived(consumer).await == 2 * EVENTS).await;
    println!("change → effect   {:8.0} events/s, all at once", rate(began.elapsed()));

    let mut latencies = Vec::new();
    for number in 0..SINGLE {
        happen(producer, Uuid::now_v7(), -number).await;
        let committed = Instant::now();
        while arrived(consumer).await < 2 * EVENTS + number + 1 {}
        latencies.push(committed.elapsed());
    }
    latencies.sort_unstable();
    println!("commit → effect   median {:?}, p99 {:?}", latencies[250], latencies[495]);
    cancel.cancel();
    running.await.unwrap();
    process.stop().await;
    assert_eq!(count(consumer, "effects").await, 2 * EVENTS + SINGLE);
}

/// The last step of a registration: what follows from what followed.
struct Activation;

impl Handler for Activation {
    fn handle<'a>(&'a self, unit: &'a Unit, event: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let Followed { number } = event.decode()?;
            let insert = format!("INSERT INTO effects (number) VALUES ({number})");
            unit.execute_unprepared(&insert).await.unwrap();
            Ok(())
        })
    }
}

/// So many registrations one after the other; how long each takes to be active.
async fn register(producer: &Outbox, from: i64, times: i64) -> Vec<Duration> {
    let mut latencies = Vec::new();
    for number in from..from + times {
        happen(producer, Uuid::now_v7(), number).await;
        let committed = Instant::now();
        while count(producer, &format!("effects WHERE number = {number}")).await == 0 {}
        latencies.push(committed.elapsed());
    }
    latencies.sort_unstable();
    latencies
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn measure_a_registration_during_a_replay() {
    let (engine, nats) = (Postgres::new(true), Nats::new());
    let (url, consuming) = (engine.database("producer"), engine.database("consumer"));
    let producer = postgres(&url, "producer").await;
    let consumer = postgres(&consuming, "consumer").await;
    let indexed = "CREATE INDEX effects_number ON effects (number)";
    producer.db().execute_unprepared(indexed).await.unwrap();
    let auth = Process::new(nats.options()).await;
    let auth = auth.handle_kinds(&[Followed::full_name()], &producer, Activation).relay(&producer);
    let user = Process::new(nats.options()).await;
    let user = user.consume(&consumer, &Plans::default()).relay(&consumer);
    much_happens(&producer, 0).await;
    // An unoptimised build gets by with half.
    if !cfg!(debug_assertions) {
        much_happens(&producer, EVENTS).await;
    }
    let all = count(&producer, "outbox").await;
    while arrived(&producer).await < all {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    let quiet = register(&producer, 2 * EVENTS, 50).await;
    println!("activation, quiet             median {:?}, slowest {:?}", quiet[25], quiet[49]);
    let began = Instant::now();
    let replayed = admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap();
    println!("events to be published again  {replayed}, asked for in {:?}", began.elapsed());
    let busy = register(&producer, 3 * EVENTS, 50).await;
    let waiting = count(&producer, "outbox WHERE published_time IS NULL").await;
    println!(
        "activation, during a replay   median {:?}, slowest {:?}; {waiting} still waited",
        busy[25], busy[49]
    );
    while count(&producer, "outbox WHERE published_time IS NULL").await > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    println!("replayed in                   {:?}", began.elapsed());
    auth.stop().await;
    user.stop().await;
}

#[tokio::test]
#[ignore = "a measurement"]
async fn measure_what_an_idle_process_asks_its_database() {
    let (engine, nats) = (Postgres::new(false), Nats::new());
    let consuming = postgres(&engine.database("service"), "service").await;
    let watching = postgres(&engine.database("watching"), "watching").await;
    let process = Process::new(nats.options()).await.handle(&consuming, Effect);
    let options = RelayOptions::default();
    let relay = Relay::new(consuming.clone(), process.bus.clone(), options);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(relay.run(cancel.clone()));
    let sql = "SELECT xact_commit + xact_rollback AS number FROM pg_stat_database \
               WHERE datname = 'service'";
    // PostgreSQL counts an idle connection's statements after ten seconds.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before = numbers(watching.db(), sql).await[0];
    tokio::time::sleep(IDLE).await;
    let transactions = numbers(watching.db(), sql).await[0] - before;
    println!("idle relay        {:8.2} statements/s", transactions as f64 / IDLE.as_secs_f64());
    cancel.cancel();
    running.await.unwrap();
    process.stop().await;
}
