//! Through a real broker that goes, comes back, and forgets.

use std::time::Duration;

use countersign_events::{Bus, JetStreamOptions, Outbox, Relay, admin};
use countersign_types::{Clock, Timestamp};
use uuid::Uuid;

use crate::{
    nats::Nats,
    process::{Process, count, effects, happen, often, until, until_effects},
    town::{Town, server, stream_length},
};

#[tokio::test]
async fn an_event_goes_through_the_broker_and_has_its_effect_once() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let process =
        Process::new(nats.options()).await.consume(&consumer, &town.plans).relay(&producer);
    let aggregate = Uuid::now_v7();
    for number in 1..=20 {
        happen(&producer, aggregate, number).await;
    }
    assert_eq!(until_effects(&consumer, 20).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(count(&consumer, "outbox WHERE kind = 'test.v1.Followed'").await, 20);
    until("all marked", async || {
        count(&producer, "outbox WHERE stream_sequence IS NOT NULL").await == 20
    })
    .await;
    process.stop().await;

    // A cloud event in binary mode.
    let stream = server(&nats.options()).await.get_stream("COUNTERSIGN").await.unwrap();
    let expected = format!("countersign.events.producer.test.v1.Happened.{aggregate}");
    let message = stream.get_first_raw_message_by_subject(&expected, 1).await.unwrap();
    let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
    let listed = admin::list(producer.db(), &admin::Filter::default()).await.unwrap();
    let first = listed.last().unwrap();
    assert_eq!(first.stream_sequence, i64::try_from(message.sequence).ok());
    for name in ["ce-id", "Nats-Msg-Id"] {
        assert_eq!(header(name), Some(first.event.id.to_string()));
    }
    assert_eq!(header("ce-type").as_deref(), Some("test.v1.Happened"));
    assert_eq!(header("ce-source").as_deref(), Some("producer"));
    assert_eq!(header("ce-specversion").as_deref(), Some("1.0"));
    assert_eq!(header("ce-sequence").as_deref(), Some("1"));
    assert_eq!(header("content-type").as_deref(), Some("application/protobuf"));
}

#[tokio::test]
async fn while_the_broker_is_away_events_wait_and_then_come_in_order() {
    let (town, mut nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let process =
        Process::new(nats.options()).await.consume(&consumer, &town.plans).relay(&producer);
    let aggregate = Uuid::now_v7();
    happen(&producer, aggregate, 1).await;
    until_effects(&consumer, 1).await;
    let mut connected = process.bus.connected();
    assert!(*connected.borrow_and_update());

    nats.kill();
    connected.wait_for(|connected| !connected).await.unwrap();
    for number in 2..=10 {
        happen(&producer, aggregate, number).await;
    }
    let event = &admin::list(producer.db(), &admin::Filter::default()).await.unwrap()[0].event;
    assert!(process.bus.publish(event).await.is_err());
    assert_eq!(effects(&consumer).await, [1]);
    assert_eq!(count(&producer, "outbox WHERE attempts > 0").await, 0, "nobody counts it");

    nats.start();
    assert_eq!(until_effects(&consumer, 10).await, (1..=10).collect::<Vec<_>>());
    process.stop().await;
}

#[tokio::test]
async fn nobody_waits_for_the_answer_of_a_connection_that_is_lost() {
    let (town, mut nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    // Patience beyond that of this test.
    let patient = JetStreamOptions { request_timeout: Duration::from_hours(1), ..nats.options() };
    let process = Process::new(patient).await.consume(&consumer, &town.plans).relay(&producer);
    happen(&producer, Uuid::now_v7(), 1).await;
    until_effects(&consumer, 1).await;
    // It takes what is published, and dies before it answers.
    nats.freeze();
    happen(&producer, Uuid::now_v7(), 2).await;
    let published = process.bus.clone();
    let event = &admin::list(producer.db(), &admin::Filter::default()).await.unwrap()[0].event;
    let mut publishing = Box::pin(published.publish(event));
    assert!(futures::poll!(&mut publishing).is_pending());
    nats.kill();
    nats.start();
    // With an error, or with the success of a connection that came after.
    let _ = publishing.await;
    assert_eq!(until_effects(&consumer, 2).await, [1, 2]);
    process.stop().await;
}

#[tokio::test]
async fn a_process_starts_while_the_broker_is_away() {
    let (town, mut nats) = (Town::new(), Nats::new());
    nats.kill();
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let process =
        Process::new(nats.options()).await.consume(&consumer, &town.plans).relay(&producer);
    happen(&producer, Uuid::now_v7(), 1).await;
    assert!(!*process.bus.connected().borrow());
    nats.start();
    assert_eq!(until_effects(&consumer, 1).await, [1]);
    process.stop().await;
}

#[tokio::test]
async fn a_broker_that_forgot_everything_is_told_again_and_nothing_doubles() {
    let (town, mut nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let relaying = Process::new(nats.options()).await.relay(&producer);
    let consuming = Process::new(nats.options()).await.consume(&consumer, &town.plans);
    let aggregate = Uuid::now_v7();
    for number in 1..=5 {
        happen(&producer, aggregate, number).await;
    }
    until_effects(&consumer, 5).await;
    until("swept once", async || count(&producer, "event_chores").await == 1).await;
    // These are acknowledged by the broker, and nobody has consumed them.
    consuming.stop().await;
    for number in 6..=9 {
        happen(&producer, aggregate, number).await;
    }
    let unpublished = "outbox WHERE published_time IS NULL";
    until("published", async || count(&producer, unpublished).await == 0).await;

    nats.kill();
    nats.forget();
    nats.start();
    let consuming = Process::new(nats.options()).await.consume(&consumer, &town.plans);
    assert_eq!(until_effects(&consumer, 9).await, (1..=9).collect::<Vec<_>>());
    until("refilled", async || stream_length(&nats.options()).await == 9).await;

    // By hand, too: what is there already is recognised.
    let replayed = admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap();
    assert_eq!(replayed, 9);
    until("published", async || count(&producer, unpublished).await == 0).await;
    happen(&producer, aggregate, 10).await;
    assert_eq!(until_effects(&consumer, 10).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(count(&consumer, "outbox WHERE kind = 'test.v1.Followed'").await, 10);
    relaying.stop().await;
    consuming.stop().await;
}

#[tokio::test]
async fn the_sweep_finds_what_a_stream_has_lost_in_its_middle() {
    let (town, nats) = (Town::new(), Nats::new());
    let producer = town.producer().await;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    for number in 1..=6 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    let relay = Relay::new(producer.clone(), bus, often());
    assert_eq!(relay.step().await.unwrap(), 6);
    let context = server(&nats.options()).await;
    let stream = context.get_stream("COUNTERSIGN").await.unwrap();
    for sequence in [2, 5] {
        stream.delete_message(sequence).await.unwrap();
    }
    let swept = relay.sweep_step().await.unwrap();
    assert_eq!((swept.compared, swept.missing, swept.more), (6, 2, false));
    assert_eq!(count(&producer, "outbox WHERE published_time IS NULL").await, 2);
}

#[tokio::test]
async fn a_replay_does_not_make_a_lost_stream_pass_for_complete() {
    let (town, nats) = (Town::new(), Nats::new());
    let producer = town.producer().await;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    for number in 1..=6 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    let relay = Relay::new(producer.clone(), bus, often());
    assert_eq!(relay.step().await.unwrap(), 6);
    server(&nats.options()).await.delete_stream("COUNTERSIGN").await.unwrap();
    // Before the sweep has seen that anything is missing.
    assert_eq!(admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap(), 6);
    assert!(relay.sweep_step().await.is_err(), "there is no stream");
    assert!(relay.sweep_step().await.unwrap().refilling, "it is there again, and empty");
    assert_eq!(relay.step().await.unwrap(), 6);
    assert!(!relay.sweep_step().await.unwrap().refilling);
}

#[tokio::test]
async fn the_sweep_compares_each_row_once_when_a_power_cut_cannot_take_it_back() {
    let (town, nats) = (Town::new(), Nats::new());
    let (clock, hand) = Clock::manual(Timestamp::from_seconds(1_000_000_000));
    let producer = Outbox::new(town.producer().await.db().clone(), clock, "producer");
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    let relay = Relay::new(producer.clone(), bus, often());
    let compared = async || {
        let swept = relay.sweep_step().await.unwrap();
        (swept.compared, swept.missing)
    };
    for number in 1..=3 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    assert_eq!(relay.step().await.unwrap(), 3);
    assert_eq!(compared().await, (3, 0), "all, as the stream is new to it");
    assert_eq!(compared().await, (0, 0));
    hand.advance(Duration::from_secs(1));
    for number in 4..=6 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    assert_eq!(relay.step().await.unwrap(), 3);
    hand.advance(Duration::from_secs(60));
    assert_eq!(compared().await, (0, 0), "not yet");
    let stream = server(&nats.options()).await.get_stream("COUNTERSIGN").await.unwrap();
    stream.delete_message(5).await.unwrap();
    hand.advance(Duration::from_secs(180));
    assert_eq!(compared().await, (3, 1));
    assert_eq!(compared().await, (0, 0));
    // What is older than the stream keeps is not missed.
    stream.purge().await.unwrap();
    hand.advance(Duration::from_hours(15 * 24));
    server(&nats.options()).await.delete_stream("COUNTERSIGN").await.unwrap();
    happen(&producer, Uuid::now_v7(), 7).await;
    while relay.step().await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    let (_, missing) = compared().await;
    assert_eq!(missing, 0);
}

#[tokio::test]
async fn a_repeated_publish_is_recognised() {
    let (town, nats) = (Town::new(), Nats::new());
    let producer = town.producer().await;
    happen(&producer, Uuid::now_v7(), 1).await;
    let event = &admin::list(producer.db(), &admin::Filter::default()).await.unwrap()[0].event;
    let bus = Bus::jetstream(nats.options()).await.unwrap();
    bus.connected().wait_for(|&connected| connected).await.unwrap();
    let first = bus.publish(event).await.unwrap();
    let second = bus.publish(event).await.unwrap();
    assert_eq!((first.stream_sequence, first.duplicate), (Some(1), false));
    assert_eq!((second.stream_sequence, second.duplicate), (Some(1), true));
    assert_eq!(stream_length(&nats.options()).await, 1);
}
