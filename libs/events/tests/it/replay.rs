//! Publishing again, and how long that is possible.

use std::time::Duration;

use countersign_events::{Bus, Relay, admin};
use countersign_types::Timestamp;
use prost::Name;
use sea_orm::ConnectionTrait;
use uuid::Uuid;

use crate::{
    follow::follow,
    nats::Nats,
    process::{Process, count, effects, happen, until, until_effects},
    stage::{Happened, Plan, Stage, quick},
    town::{Town, stream_length},
};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn a_replay_has_no_effect_twice_and_reaches_who_is_new() {
    let stage = Stage::new();
    let life = stage.start().await;
    let aggregate = Uuid::now_v7();
    for number in 1..=6 {
        life.happen(aggregate, number).await;
    }
    life.settle().await;
    let replayed = admin::replay(life.producer_db(), Timestamp::EPOCH, None).await.unwrap();
    assert_eq!(replayed, 6);
    life.settle().await;
    assert_eq!(life.effects().await, [1, 2, 3, 4, 5, 6]);

    life.bus.subscribe(stage.consumer("newcomer", life.consuming()));
    admin::replay(life.producer_db(), Timestamp::EPOCH, None).await.unwrap();
    life.settle().await;
    assert_eq!(life.effects().await, [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn a_replay_takes_what_was_asked_for() {
    let stage = Stage::new();
    let life = stage.start().await;
    let kind = Happened::full_name();
    life.happen(Uuid::now_v7(), 1).await;
    stage.hand.advance(DAY);
    life.happen(Uuid::now_v7(), 2).await;
    life.settle().await;
    let db = life.producer_db();
    assert_eq!(admin::replay(db, stage.clock.now(), Some(&kind)).await.unwrap(), 1);
    assert_eq!(admin::replay(db, Timestamp::EPOCH, Some("test.v1.Other")).await.unwrap(), 0);

    let unpublished = admin::Filter { unpublished: true, ..admin::Filter::default() };
    assert_eq!(admin::list(db, &unpublished).await.unwrap().len(), 1);
    let first = admin::Filter { limit: 1, kind: Some(kind), ..admin::Filter::default() };
    assert_eq!(admin::list(db, &first).await.unwrap()[0].attempts, 0);
    let future = stage.clock.now().plus(DAY);
    let none = admin::Filter { since: Some(future), ..admin::Filter::default() };
    assert_eq!(admin::list(db, &none).await.unwrap(), []);
}

#[tokio::test]
async fn whatever_can_be_replayed_is_recognised() {
    let stage = Stage::new();
    let life = stage.start().await;
    let housekeeping = Relay::new(life.consuming().clone(), Bus::memory(), quick());
    life.happen(Uuid::now_v7(), 1).await;
    life.settle().await;
    // Each replay starts the retention anew, on both sides.
    for _ in 0..10 {
        stage.hand.advance(6 * DAY);
        while life.relay.prune_step().await.unwrap() > 0 {}
        while housekeeping.prune_step().await.unwrap() > 0 {}
        assert_eq!(admin::replay(life.producer_db(), Timestamp::EPOCH, None).await.unwrap(), 1);
        life.settle().await;
        assert_eq!(life.effects().await, [1]);
    }
    stage.hand.advance(8 * DAY);
    assert_eq!(life.relay.prune_step().await.unwrap(), 1);
    assert_eq!(admin::replay(life.producer_db(), Timestamp::EPOCH, None).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_not_published_is_never_pruned() {
    let stage = Stage::new();
    let life = stage.start().await;
    stage.plan(1, Some(Plan::Away(None)));
    life.happen(Uuid::now_v7(), 1).await;
    life.relay.step().await.unwrap();
    stage.hand.advance(365 * DAY);
    assert_eq!(life.relay.prune_step().await.unwrap(), 0);
    stage.plan(1, None);
    life.settle().await;
    assert_eq!(life.effects().await, [1]);
}

#[tokio::test]
async fn a_replay_onto_a_stream_that_has_everything_comes_again_and_has_no_effect_twice() {
    let (town, nats) = (Town::new(), Nats::new());
    let (producer, consumer) = (town.producer().await, town.consumer().await);
    let process = Process::new(nats.options()).await;
    let (_, seen) = follow(&process.bus);
    let process = process.consume(&consumer, &town.plans).relay(&producer);
    for number in 1..=5 {
        happen(&producer, Uuid::now_v7(), number).await;
    }
    until_effects(&consumer, 5).await;
    let times = |times| move |seen: &Vec<i64>| seen.iter().filter(|&&n| n == 5).count() >= times;
    let unpublished = "outbox WHERE published_time IS NULL";
    for replay in 1..=2 {
        until("published", async || count(&producer, unpublished).await == 0).await;
        let length = stream_length(&nats.options()).await;
        assert_eq!(admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap(), 5);
        until("there again", async || {
            stream_length(&nats.options()).await == length + 5
                && times(replay + 1)(&seen.lock().unwrap())
        })
        .await;
    }
    // What is not noted as published yet would not be published again.
    until("published", async || count(&producer, unpublished).await == 0).await;
    // A consumer whose inbox was lost, as after a backup of yesterday, gets it.
    consumer.db().execute_unprepared("DELETE FROM inbox").await.unwrap();
    assert_eq!(effects(&consumer).await.len(), 5);
    admin::replay(producer.db(), Timestamp::EPOCH, None).await.unwrap();
    assert_eq!(until_effects(&consumer, 10).await.len(), 10);
    process.stop().await;
}
