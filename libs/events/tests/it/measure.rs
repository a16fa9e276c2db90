//! What this machine reaches from the commit to the effect. Printed, not
//! asserted, and only when asked:
//! `cargo test -p countersign-events --release -- --ignored --nocapture measure`.

use std::time::{Duration, Instant};

use countersign_events::{Outbox, Relay, RelayOptions};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    nats::Nats,
    postgres::Postgres,
    process::{Process, count, happen, numbers, often, postgres, until},
    stage::{Effect, Happened},
};

const EVENTS: i64 = 20_000;

const SINGLE: i64 = 500;

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
    let process = Process::new(nats.options()).await;
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
