//! What an operator watches: each measure moves when what it measures does.
//! Labels are names of these tests alone, as all share one registry.

use std::{sync::OnceLock, time::Duration};

use countersign_events::{
    Backoff, BoxFuture, Bus, Consumer, ConsumerOptions, Event, Follower, Handler, JetStreamOptions,
    Outbox, Relay, Unit, admin,
};
use countersign_types::{Clock, Code, Fault, Timestamp};
use prometheus::{Encoder, Registry, TextEncoder};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    nats::Nats,
    process::{Process, happen, sqlite, until},
    stage::{Effect, Plan, Plans, Recorder, connect, quick},
};

const KIND: &str = "test.v1.Happened";

/// Refuses everything.
struct Refuse;

impl Handler for Refuse {
    fn handle<'a>(&'a self, _: &'a Unit, _: &'a Event) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async { Err(Fault::new(Code::Internal, "POISON", "no good")) })
    }
}

/// Begins to measure. Before anything is made that does: meters take the
/// provider that is there then.
fn measure() -> &'static Registry {
    static REGISTRY: OnceLock<Registry> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let registry = Registry::new();
        let reader = opentelemetry_prometheus::exporter().with_registry(registry.clone());
        let provider = opentelemetry_sdk::metrics::SdkMeterProvider::builder()
            .with_reader(reader.build().unwrap())
            .build();
        opentelemetry::global::set_meter_provider(provider);
        registry
    })
}

/// The sample of this name with these labels.
fn sample(name: &str, labels: &[&str]) -> Option<f64> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&measure().gather(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let line = text.lines().find(|line| {
        line.starts_with(&format!("{name}{{")) && labels.iter().all(|label| line.contains(label))
    });
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
}

fn patience() -> ConsumerOptions {
    ConsumerOptions { max_deliveries: 1, backoff: Backoff::NONE, ..ConsumerOptions::default() }
}

#[tokio::test]
async fn in_memory_the_outbox_tells_what_waits_and_who_lags_behind_it() {
    measure();
    let folder = tempfile::tempdir().unwrap();
    let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_000_000));
    let producer = connect(&folder.path().join("p.db")).await;
    let producer = Outbox::new(producer, clock.clone(), "measured.memory");
    let consuming = connect(&folder.path().join("c.db")).await;
    let consuming = Outbox::new(consuming, clock, "consuming");
    let (bus, plans) = (Bus::memory(), Plans::default());
    let recorder = Recorder(Plans::clone(&plans));
    let options = patience();
    bus.subscribe(Consumer::new("measured.memory", &[KIND], consuming, recorder, options));
    let relay = Relay::new(producer.clone(), bus, quick());
    let of_source = |name: &str| sample(name, &["source=\"measured.memory\""]);
    let tell = || {
        let lag = "countersign_events_consumer_lag";
        (
            of_source("countersign_events_outbox_waiting"),
            of_source("countersign_events_outbox_age_seconds"),
            sample(lag, &["consumer=\"measured.memory\"", "source=\"measured.memory\""]),
        )
    };

    relay.sample_step().await.unwrap();
    assert_eq!(tell(), (Some(0.0), Some(0.0), Some(0.0)));
    for number in 1..=2 {
        plans.lock().unwrap().insert(number, Plan::Away(None));
        happen(&producer, Uuid::now_v7(), number).await;
        hand.advance(Duration::from_secs(40));
    }
    relay.step().await.unwrap();
    relay.sample_step().await.unwrap();
    assert_eq!(tell(), (Some(2.0), Some(80.0), Some(2.0)));

    plans.lock().unwrap().clear();
    while relay.step().await.unwrap() > 0 {}
    relay.sample_step().await.unwrap();
    assert_eq!(tell(), (Some(0.0), Some(0.0), Some(0.0)));
    // What is published again says nothing of what waits.
    let all = admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap();
    relay.sample_step().await.unwrap();
    assert_eq!((all, tell()), (2, (Some(0.0), Some(0.0), Some(0.0))));
    let processed = |error: &str| {
        let labels = ["messaging_consumer_group_name=\"measured.memory\"", error];
        sample("messaging_process_duration_seconds_count", &labels)
    };
    assert_eq!(processed("error_type=\"unavailable\""), Some(2.0));
    assert_eq!(processed("messaging_system=\"countersign\",otel"), Some(2.0));
}

#[tokio::test]
async fn through_the_broker_lag_and_silence_are_told() {
    measure();
    let nats = Nats::new();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "measured_broker").await;
    let consuming = sqlite(&folder.path().join("c.db"), "consuming").await;
    let often = Duration::from_millis(20);
    let options = JetStreamOptions { sample_interval: often, ..nats.options() };
    let process = Process::new(options).await;
    let plans = Plans::default();
    plans.lock().unwrap().insert(1, Plan::Away(Some(Duration::from_millis(50))));
    let recorder = Recorder(Plans::clone(&plans));
    let consumer = Consumer::new("measured.broker", &[KIND], consuming, recorder, patience());
    process.bus.subscribe(consumer);
    process.bus.follow(Follower::new("measured.follower", &[KIND], Duration::ZERO, |_| ()));
    let silence = || sample("countersign_events_staleness_seconds", &["measured.follower"]);
    assert!(silence().is_some_and(|silence| silence > 0.0), "before the first sign of life");
    let lag = || sample("countersign_events_consumer_lag", &["consumer=\"measured.broker\""]);
    let process = process.relay(&producer).run();
    until("told", async || lag() == Some(0.0)).await;
    happen(&producer, Uuid::now_v7(), 1).await;
    until("behind", async || lag() == Some(1.0)).await;
    plans.lock().unwrap().clear();
    until("caught up", async || lag() == Some(0.0)).await;
    let sent = || {
        let destination =
            "destination_name=\"countersign.events.measured_broker.test.v1.Happened\"";
        let labels = [destination, "messaging_system=\"nats\"", "operation_type=\"send\""];
        sample("messaging_client_operation_duration_seconds_count", &labels)
    };
    assert_eq!(sent(), Some(1.0));
    process.stop().await;
    // Nobody listens any more.
    let before = silence().unwrap();
    until("silent", async || silence().unwrap() > before).await;
}

#[tokio::test]
async fn dead_letters_are_counted_as_long_as_they_lie() {
    measure();
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let producer = connect(&folder.path().join("p.db")).await;
    let producer = Outbox::new(producer, clock.clone(), "measured.dead");
    let consuming = connect(&folder.path().join("c.db")).await;
    let consuming = Outbox::new(consuming, clock, "consuming");
    let bus = Bus::memory();
    let db = consuming.db().clone();
    let consumer = Consumer::new("measured.dead", &[KIND], consuming.clone(), Refuse, patience());
    bus.subscribe(consumer.clone());
    let relay = Relay::new(producer.clone(), bus, quick());
    let letters = || sample("countersign_events_dead_letters", &["consumer=\"measured.dead\""]);
    consumer.redeliver_step().await.unwrap();
    assert_eq!(letters(), Some(0.0));
    let id = happen(&producer, Uuid::now_v7(), 1).await;
    while relay.step().await.unwrap() > 0 {}
    consumer.redeliver_step().await.unwrap();
    assert_eq!(letters(), Some(1.0));
    assert_eq!(sample("countersign_events_dead_total", &["measured.dead"]), Some(1.0));
    admin::requeue(&db, id, "measured.dead").await.unwrap();
    // The cause was mended.
    let mended = Consumer::new("measured.dead", &[KIND], consuming, Effect, patience());
    mended.redeliver_step().await.unwrap();
    assert_eq!(letters(), Some(0.0));
}

#[tokio::test]
async fn an_outbox_is_sampled_while_its_relay_runs() {
    measure();
    let folder = tempfile::tempdir().unwrap();
    let producer = sqlite(&folder.path().join("p.db"), "measured.running").await;
    // The broker is away: nothing is published, and that is what has to be seen.
    let away = JetStreamOptions::new(["nats://127.0.0.1:1"]);
    let bus = Bus::jetstream(away).await.unwrap();
    happen(&producer, Uuid::now_v7(), 1).await;
    let relay = Relay::new(producer, bus, quick());
    let cancel = CancellationToken::new();
    let running = tokio::spawn(relay.run(cancel.clone()));
    let waiting = || sample("countersign_events_outbox_waiting", &["measured.running"]);
    until("seen", async || waiting() == Some(1.0)).await;
    cancel.cancel();
    running.await.unwrap();
}
