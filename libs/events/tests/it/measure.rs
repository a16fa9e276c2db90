//! What this machine reaches from the commit to the effect. Printed, not
//! asserted, and only when asked:
//! `cargo test -p countersign-events --release -- --ignored --nocapture measure`.

use std::time::{Duration, Instant};

use countersign_events::{JetStreamOptions, Outbox, Relay, RelayOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    nats::Nats,
    postgres::Postgres,
    process::{Process, count, happen, numbers, often, postgres, until},
    stage::{Effect, Happened},
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
    let (engine, nats) = (Postgres::new(true), Nats::new());
    let (url, consuming) = (engine.database("producer"), engine.database("consumer"));
    let producer = postgres(&url, "producer").await;
    let consumer = postgres(&consuming, "consumer").await;
    let options = JetStreamOptions { parallel: 8, ..nats.options() };
    let process = Process::new(options).await;
    let options = RelayOptions { batch: 512, ..often() };
    let relay = Relay::new(producer.clone(), process.bus.clone(), options);
    let cancel = CancellationToken::new();

    much_happens(&producer, 0).await;
    let began = Instant::now();
    let running = tokio::spawn(relay.run(cancel.clone()));
    let unpublished = "outbox WHERE published_time IS NULL";
    until("published", async || count(&producer, unpublished).await == 0).await;
    let published = began.elapsed();
    let process = process.handle(&consumer, Effect);
    let began = Instant::now();
    until("consumed", async || arrived(&consumer).await == EVENTS).await;
    let consumed = began.elapsed();
    let rate = |time: Duration| EVENTS as f64 / time.as_secs_f64();
    println!("outbox → stream   {:8.0} events/s", rate(published));
    println!("stream → effect   {:8.0} events/s", rate(consumed));

    let began = Instant::now();
    much_happens(&producer, EVENTS).await;
    until("all of it", async || arrived(&consumer).await == 2 * EVENTS).await;
    println!("change → effect   {:8.0} events/s, all at once", rate(began.elapsed()));

    let mut latencies = Vec::new();
    for number in 0..SINGLE {
        happen(&producer, Uuid::now_v7(), -number).await;
        let committed = Instant::now();
        while arrived(&consumer).await < 2 * EVENTS + number + 1 {}
        latencies.push(committed.elapsed());
    }
    latencies.sort_unstable();
    println!("commit → effect   median {:?}, p99 {:?}", latencies[250], latencies[495]);
    cancel.cancel();
    running.await.unwrap();
    process.stop().await;
    assert_eq!(count(&consumer, "effects").await, 2 * EVENTS + SINGLE);
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
